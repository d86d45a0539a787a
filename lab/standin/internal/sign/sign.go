// Package sign makes DKIM keys and signs outgoing messages with them.
package sign

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/emersion/go-msgauth/dkim"

	"tailwart.lab/standin/internal/config"
	"tailwart.lab/standin/internal/registry"
	"tailwart.lab/standin/internal/trace"
)

// Algorithm names of x:DkimSignature.
const (
	RSA     = "Dkim1RsaSha256"
	Ed25519 = "Dkim1Ed25519Sha256"
)

var short = map[string]string{RSA: "rsa", Ed25519: "ed25519"}

// Signer works with the registry's DkimSignature objects.
type Signer struct {
	Registry *registry.Registry
	Log      *trace.Log
}

// Run creates missing keys, some seconds after start as the server does.
func (s *Signer) Run() {
	time.Sleep(3 * time.Second)
	for ; ; time.Sleep(2 * time.Second) {
		for _, domain := range s.Registry.List("Domain") {
			s.ensure(domain)
		}
	}
}

func (s *Signer) ensure(domain registry.Object) {
	management, _ := domain.Value["dkimManagement"].(map[string]any)
	if management["@type"] != "Automatic" {
		return
	}
	algorithms, _ := management["algorithms"].(map[string]any)
	held := map[string]bool{}
	for _, v := range s.Registry.Values("DkimSignature") {
		if v["domainId"] == domain.ID {
			held[fmt.Sprint(v["@type"])] = true
		}
	}
	for _, algorithm := range slices.Sorted(maps.Keys(algorithms)) {
		if held[algorithm] || short[algorithm] == "" {
			continue
		}
		if err := s.create(domain, management, algorithm); err != nil {
			s.Log.Emit("error", "DKIM key generation failed", "dkim.build-error", "domain", fmt.Sprint(domain.Value["name"]), "reason", err.Error())
		}
	}
}

func (s *Signer) create(domain registry.Object, management map[string]any, algorithm string) error {
	private, err := newKey(algorithm)
	if err != nil {
		return err
	}
	kind := s.Registry.Schema.Kind("DkimSignature")
	value := s.Registry.Schema.New(&kind.Shape, kind.Variant(algorithm))
	value["domainId"] = domain.ID
	value["selector"] = selector(config.Text(management, "selectorTemplate", "v{version}-{algorithm}-{date-%Y%m%d}"), algorithm)
	value["createdAt"] = time.Now().UTC().Format("2006-01-02T15:04:05Z")
	value["privateKey"] = map[string]any{"@type": "Text", "secret": private}
	if problem := Describe(nil, value); problem != nil {
		return problem
	}
	_, err = s.Registry.Put("DkimSignature", "", value)
	return err
}

func selector(template, algorithm string) string {
	now := time.Now().UTC()
	return strings.NewReplacer("{version}", "1", "{algorithm}", short[algorithm], "{date-%Y%m%d}", now.Format("20060102"),
		"{date-%Y%m}", now.Format("200601"), "{epoch}", fmt.Sprint(now.Unix())).Replace(template)
}

func newKey(algorithm string) (string, error) {
	var key any
	var err error
	if algorithm == RSA {
		key, err = rsa.GenerateKey(rand.Reader, 2048)
	} else {
		_, key, err = ed25519.GenerateKey(rand.Reader)
	}
	if err != nil {
		return "", err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return "", err
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})), nil
}

func parse(value map[string]any) (crypto.Signer, error) {
	text, err := config.Secret(value["privateKey"])
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return nil, fmt.Errorf("private key is not PEM")
	}
	if key, err := x509.ParsePKCS1PrivateKey(block.Bytes); err == nil {
		return key, nil
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, err
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("private key cannot sign")
	}
	return signer, nil
}

// Describe fills in what the server derives from a key; it is the hook for
// writes of DkimSignature objects.
func Describe(_, value map[string]any) *registry.Error {
	key, err := parse(value)
	if err != nil {
		return registry.Invalid("privateKey", "Failed to build DKIM signer: "+err.Error())
	}
	switch public := key.Public().(type) {
	case ed25519.PublicKey:
		value["publicKey"] = base64.StdEncoding.EncodeToString(public)
	default:
		der, err := x509.MarshalPKIXPublicKey(public)
		if err != nil {
			return registry.Invalid("privateKey", err.Error())
		}
		value["publicKey"] = base64.StdEncoding.EncodeToString(der)
	}
	return nil
}

// Sign adds a signature for every active key of a domain. A message that cannot
// be signed is sent without: a receiver decides about it, not a lost message.
func (s *Signer) Sign(domain string, body []byte) []byte {
	found, ok := s.Registry.Find("Domain", strings.ToLower(domain))
	if !ok {
		return body
	}
	for _, value := range s.Registry.Values("DkimSignature") {
		if value["domainId"] != found.ID || value["stage"] != "active" {
			continue
		}
		key, err := parse(value)
		if err != nil {
			continue
		}
		headers, _ := value["headers"].(map[string]any)
		names := slices.Sorted(maps.Keys(headers))
		header, canonical, _ := strings.Cut(fmt.Sprint(value["canonicalization"]), "/")
		var signed bytes.Buffer
		err = dkim.Sign(&signed, bytes.NewReader(body), &dkim.SignOptions{
			Domain: fmt.Sprint(found.Value["name"]), Selector: fmt.Sprint(value["selector"]), Signer: key, Hash: crypto.SHA256,
			HeaderCanonicalization: dkim.Canonicalization(header), BodyCanonicalization: dkim.Canonicalization(canonical), HeaderKeys: names,
		})
		if err != nil {
			s.Log.Emit("error", "DKIM signing failed", "dkim.sign-error", "domain", domain, "reason", err.Error())
			continue
		}
		body = signed.Bytes()
	}
	return body
}
