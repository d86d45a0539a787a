// Package acme obtains certificates by DNS-01 (RFC 8555) for domains whose
// certificate management is automatic.
package acme

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net/url"
	"path"
	"strings"
	"time"

	"github.com/mholt/acmez/v3/acme"

	"tailwart.lab/standin/internal/expr"
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
	ctx, cancel := context.WithTimeout(context.Background(), registerTimeout)
	defer cancel()
	account, err := authority(value).NewAccount(ctx, acme.Account{Contact: list, TermsOfServiceAgreed: true, PrivateKey: key})
	if err != nil {
		return registry.Invalid("directory", "Failed to create ACME account: "+reason(err))
	}
	value["accountUri"] = account.Location
	if _, known := value["description"]; known {
		value["description"] = fmt.Sprintf("%s (%s)", expr.Text(value["directory"]), path.Base(account.Location))
	}
	return nil
}

func encodeKey(key *ecdsa.PrivateKey) (string, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return "", err
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})), nil
}

func authority(provider map[string]any) *acme.Client {
	return &acme.Client{Directory: expr.Text(provider["directory"]), UserAgent: "stalwart-stand-in"}
}

func accountOf(provider map[string]any) (acme.Account, error) {
	account := acme.Account{Status: acme.StatusValid, Location: expr.Text(provider["accountUri"])}
	block, _ := pem.Decode([]byte(expr.Text(provider["accountKey"])))
	if block == nil {
		return account, errors.New("the provider has no account key")
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return account, err
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return account, errors.New("the provider's account key cannot sign")
	}
	account.PrivateKey = signer
	return account, nil
}

// reason words a failure as the server does.
func reason(err error) string {
	var transport *url.Error
	if errors.As(err, &transport) {
		return fmt.Sprintf("HTTP error: error sending request for url (%s)", transport.URL)
	}
	var refused acme.Problem
	if errors.As(err, &refused) {
		return fmt.Sprintf("%s: %s", refused.Type, refused.Detail)
	}
	return err.Error()
}
