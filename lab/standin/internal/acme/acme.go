// Package acme obtains certificates by DNS-01 (RFC 8555) for domains whose
// certificate management is automatic.
package acme

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"golang.org/x/crypto/acme"

	"tailwart.lab/standin/internal/registry"
)

const registerTimeout = 15 * time.Second

// Register is the hook for writes of AcmeProvider objects: a new one contacts
// its directory at once and is refused when that fails.
func Register(old, value map[string]any) *registry.Error {
	contacts := map[string]any{}
	given, _ := value["contact"].(map[string]any)
	var list []string
	for address := range given {
		contact := "mailto:" + strings.TrimPrefix(address, "mailto:")
		contacts[contact] = true
		list = append(list, contact)
	}
	value["contact"] = contacts
	if old != nil {
		return nil
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return registry.Invalid("accountKey", err.Error())
	}
	text, err := encodeKey(key)
	if err != nil {
		return registry.Invalid("accountKey", err.Error())
	}
	value["accountKey"] = text
	client, err := clientFor(value)
	if err != nil {
		return registry.Invalid("accountKey", err.Error())
	}
	ctx, cancel := context.WithTimeout(context.Background(), registerTimeout)
	defer cancel()
	account, err := client.Register(ctx, &acme.Account{Contact: list}, acme.AcceptTOS)
	if err != nil {
		return registry.Invalid("directory", "Failed to create ACME account: "+reason(err))
	}
	value["accountUri"] = account.URI
	return nil
}

func encodeKey(key *ecdsa.PrivateKey) (string, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return "", err
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})), nil
}

func clientFor(provider map[string]any) (*acme.Client, error) {
	text, _ := provider["accountKey"].(string)
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return nil, errors.New("the provider has no account key")
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, err
	}
	key, ok := parsed.(*ecdsa.PrivateKey)
	if !ok {
		return nil, errors.New("the provider's account key has another type")
	}
	directory, _ := provider["directory"].(string)
	return &acme.Client{Key: key, DirectoryURL: directory, UserAgent: "stalwart-stand-in"}, nil
}

// reason words a failure as the server does.
func reason(err error) string {
	var transport *url.Error
	if errors.As(err, &transport) {
		return fmt.Sprintf("HTTP error: error sending request for url (%s)", transport.URL)
	}
	var refused *acme.Error
	if errors.As(err, &refused) {
		return fmt.Sprintf("%s: %s", refused.ProblemType, refused.Detail)
	}
	return err.Error()
}
