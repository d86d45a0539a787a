package acme

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"fmt"
	"net"
	"slices"
	"time"

	"github.com/mholt/acmez/v3"
	"github.com/mholt/acmez/v3/acme"

	"tailwart.lab/standin/internal/config"
	"tailwart.lab/standin/internal/expr"
)

// obtain orders a certificate and returns chain and key as PEM.
func (m *Manager) obtain(ctx context.Context, domain map[string]any) (chain, key string, err error) {
	provider := m.provider(domain)
	if challenge := expr.Text(provider["challengeType"]); challenge != "Dns01" {
		return "", "", fmt.Errorf("challenge type %s is not known to this stand-in, only Dns01", challenge)
	}
	account, err := accountOf(provider)
	if err != nil {
		return "", "", err
	}
	updater, err := m.updater(domain)
	if err != nil {
		return "", "", err
	}
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", "", err
	}
	client := acmez.Client{Client: authority(provider), ChallengeSolvers: map[string]acmez.Solver{acme.ChallengeTypeDNS01: updater}}
	certificates, err := client.ObtainCertificateForSANs(ctx, account, private, names(domain))
	if err != nil {
		return "", "", err
	}
	key, err = encodeKey(private)
	return string(certificates[0].ChainPEM), key, err
}

// Present implements acmez.Solver.
func (u *updater) Present(_ context.Context, c acme.Challenge) error {
	return u.add(c.DNS01TXTRecordName()+".", c.DNS01KeyAuthorization())
}

// CleanUp implements acmez.Solver.
func (u *updater) CleanUp(_ context.Context, c acme.Challenge) error {
	return u.remove(c.DNS01TXTRecordName() + ".")
}

// Wait implements acmez.Waiter: until the server's own resolver sees the record.
func (u *updater) Wait(ctx context.Context, c acme.Challenge) error {
	ctx, cancel := context.WithTimeout(ctx, u.propagation)
	defer cancel()
	for {
		found, _ := net.DefaultResolver.LookupTXT(ctx, c.DNS01TXTRecordName()+".")
		if slices.Contains(found, c.DNS01KeyAuthorization()) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("DNS propagation timed out for %s", c.DNS01TXTRecordName())
		case <-time.After(time.Second):
		}
	}
}

func duration(object map[string]any, name string, fallback int) time.Duration {
	return time.Duration(config.Int(object, name, fallback)) * time.Millisecond
}
