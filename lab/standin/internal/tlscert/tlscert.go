// Package tlscert chooses the certificate that is served: an x:Certificate that
// fits the requested name, or a self-signed one while there is none.
package tlscert

import (
	"cmp"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"slices"
	"sync"
	"time"

	"tailwart.lab/standin/internal/config"
	"tailwart.lab/standin/internal/registry"
)

// Certificates is the set that is served now.
type Certificates struct {
	reg *registry.Registry

	mu         sync.RWMutex
	stored     []*tls.Certificate
	fallback   *tls.Certificate
	selfSigned *tls.Certificate
}

// New makes the set and reads the stored certificates.
func New(reg *registry.Registry) (*Certificates, error) {
	host, _ := reg.Singleton("SystemSettings")["defaultHostname"].(string)
	self, err := selfSign(host)
	if err != nil {
		return nil, err
	}
	c := &Certificates{reg: reg, selfSigned: self}
	c.Reload()
	return c, nil
}

// Reload reads the x:Certificate objects again.
func (c *Certificates) Reload() {
	var stored []*tls.Certificate
	var fallback *tls.Certificate
	preferred, _ := c.reg.Singleton("SystemSettings")["defaultCertificateId"].(string)
	for _, o := range c.reg.List("Certificate") {
		cert, err := Parse(o.Value)
		if err != nil {
			continue
		}
		stored = append(stored, cert)
		if fallback == nil || o.ID == preferred {
			fallback = cert
		}
	}
	// Of two for one name, the one that lasts longer is served.
	slices.SortStableFunc(stored, func(a, b *tls.Certificate) int { return b.Leaf.NotAfter.Compare(a.Leaf.NotAfter) })
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stored, c.fallback = stored, fallback
}

// Parse reads the PEM texts of an x:Certificate.
func Parse(value map[string]any) (*tls.Certificate, error) {
	chain, err := config.Secret(value["certificate"])
	if err != nil {
		return nil, err
	}
	key, err := config.Secret(value["privateKey"])
	if err != nil {
		return nil, err
	}
	cert, err := tls.X509KeyPair([]byte(chain), []byte(key))
	if err != nil {
		return nil, err
	}
	return &cert, nil
}

// For returns the certificate for a host name.
func (c *Certificates) For(name string) *tls.Certificate {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if i := slices.IndexFunc(c.stored, func(cert *tls.Certificate) bool { return cert.Leaf.VerifyHostname(name) == nil }); i >= 0 {
		return c.stored[i]
	}
	return cmp.Or(c.fallback, c.selfSigned)
}

// Issued returns the certificate of a name, nil when only a self-signed one is served.
func (c *Certificates) Issued(name string) *tls.Certificate {
	if cert := c.For(name); cert != c.selfSigned {
		return cert
	}
	return nil
}

// Config is the TLS configuration of a listener.
func (c *Certificates) Config() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
			return c.For(hello.ServerName), nil
		},
	}
}

// selfSign makes the certificate that the server starts with; its name is the
// sign by which the missing real one is recognised.
func selfSign(host string) (*tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, err
	}
	names := []string{"localhost"}
	if host != "" {
		names = []string{host, "localhost"}
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "rcgen self signed cert"},
		NotBefore: time.Date(1975, 1, 1, 0, 0, 0, 0, time.UTC), NotAfter: time.Date(4096, 1, 1, 0, 0, 0, 0, time.UTC), DNSNames: names,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	leaf, err := x509.ParseCertificate(der)
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, err
}

// Issuer is the certificate that follows the leaf in a chain, nil when there is none.
func Issuer(cert *tls.Certificate) *x509.Certificate {
	if len(cert.Certificate) < 2 {
		return nil
	}
	issuer, err := x509.ParseCertificate(cert.Certificate[1])
	if err != nil {
		return nil
	}
	return issuer
}

// Describe fills in what the server derives from a certificate; it is the hook
// for writes of Certificate objects.
func Describe(_, value map[string]any) *registry.Error {
	cert, err := Parse(value)
	if err != nil {
		return registry.Invalid("certificate", "Failed to parse certificate: "+err.Error())
	}
	names := map[string]any{}
	for _, n := range cert.Leaf.DNSNames {
		names[n] = true
	}
	value["subjectAlternativeNames"] = names
	value["notValidAfter"] = cert.Leaf.NotAfter.UTC().Format("2006-01-02T15:04:05Z")
	value["notValidBefore"] = cert.Leaf.NotBefore.UTC().Format("2006-01-02T15:04:05Z")
	value["issuer"] = cert.Leaf.Issuer.String()
	return nil
}
