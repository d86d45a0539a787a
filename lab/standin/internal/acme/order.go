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
	"net"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/acme"

	"tailwart.lab/standin/internal/config"
)

// obtain orders a certificate and returns chain and key as PEM.
func (m *Manager) obtain(ctx context.Context, domain map[string]any) (chain, key string, err error) {
	provider := m.provider(domain)
	if challenge := text(provider["challengeType"]); challenge != "Dns01" {
		return "", "", fmt.Errorf("challenge type %s is not known to this stand-in, only Dns01", challenge)
	}
	client, err := clientFor(provider)
	if err != nil {
		return "", "", err
	}
	updater, err := m.updater(domain)
	if err != nil {
		return "", "", err
	}
	wanted := names(domain)
	order, err := client.AuthorizeOrder(ctx, acme.DomainIDs(wanted...))
	if err != nil {
		return "", "", err
	}
	if err := m.authorize(ctx, client, updater, order); err != nil {
		return "", "", err
	}
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", "", err
	}
	request, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{DNSNames: wanted}, private)
	if err != nil {
		return "", "", err
	}
	uri := order.URI
	if order, err = client.WaitOrder(ctx, uri); err != nil {
		return "", "", err
	}
	certificates, err := finalize(ctx, client, uri, order.FinalizeURL, request)
	if err != nil {
		return "", "", err
	}
	var b strings.Builder
	for _, der := range certificates {
		b.Write(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	}
	key, err = encodeKey(private)
	return b.String(), key, err
}

// finalize hands in the request and fetches the chain. An authority that is
// still issuing need not repeat the order's address in its answer, which the
// library counts on; the address is known here, so waiting goes on with it.
func finalize(ctx context.Context, client *acme.Client, order, finalizeURL string, request []byte) ([][]byte, error) {
	certificates, _, err := client.CreateOrderCert(ctx, finalizeURL, request, true)
	if err == nil {
		return certificates, nil
	}
	done, waitErr := client.WaitOrder(ctx, order)
	if waitErr != nil || done.CertURL == "" {
		return nil, err
	}
	return client.FetchCert(ctx, done.CertURL, true)
}

// authorize answers the challenges of an order. All values stand in the zone
// before the first is presented: a name and its wildcard share the record's name.
func (m *Manager) authorize(ctx context.Context, client *acme.Client, updater *updater, order *acme.Order) error {
	type pending struct {
		authorization string
		challenge     *acme.Challenge
	}
	var todo []pending
	values := map[string][]string{}
	for _, uri := range order.AuthzURLs {
		authorization, err := client.GetAuthorization(ctx, uri)
		if err != nil {
			return err
		}
		if authorization.Status == acme.StatusValid {
			continue
		}
		i := slices.IndexFunc(authorization.Challenges, func(c *acme.Challenge) bool { return c.Type == "dns-01" })
		if i < 0 {
			return errors.New("the authority offers no dns-01 challenge")
		}
		challenge := authorization.Challenges[i]
		value, err := client.DNS01ChallengeRecord(challenge.Token)
		if err != nil {
			return err
		}
		owner := "_acme-challenge." + authorization.Identifier.Value + "."
		values[owner] = append(values[owner], value)
		todo = append(todo, pending{uri, challenge})
	}
	for owner, texts := range values {
		if err := updater.add(owner, texts); err != nil {
			return fmt.Errorf("DNS update for %s: %w", owner, err)
		}
		defer updater.remove(owner)
		if err := propagated(ctx, owner, texts, updater.propagation); err != nil {
			return err
		}
	}
	for _, p := range todo {
		if _, err := client.Accept(ctx, p.challenge); err != nil {
			return err
		}
		if _, err := client.WaitAuthorization(ctx, p.authorization); err != nil {
			return err
		}
	}
	return nil
}

// propagated waits until the server's own resolver sees the records.
func propagated(ctx context.Context, owner string, texts []string, timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	for {
		found, _ := net.DefaultResolver.LookupTXT(ctx, owner)
		if !slices.ContainsFunc(texts, func(t string) bool { return !slices.Contains(found, t) }) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("DNS propagation timed out for %s", owner)
		case <-time.After(time.Second):
		}
	}
}

func duration(object map[string]any, name string, fallback int) time.Duration {
	return time.Duration(config.Int(object, name, fallback)) * time.Millisecond
}
