package sign

import (
	"bytes"
	"strings"
	"testing"

	"github.com/emersion/go-msgauth/dkim"

	"tailwart.lab/standin/internal/ids"
	"tailwart.lab/standin/internal/registry"
	"tailwart.lab/standin/internal/schema"
	"tailwart.lab/standin/internal/store"
	"tailwart.lab/standin/internal/trace"
)

func TestASignatureVerifiesWithThePublishedKey(t *testing.T) {
	data, err := store.OpenBolt(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer data.Close()
	reg, err := registry.Open(schema.Load(schema.ParseVersion(schema.Default)), data, &ids.Clock{})
	if err != nil {
		t.Fatal(err)
	}
	res, err := reg.Set("Domain", registry.Changes{Create: map[string]map[string]any{"d": {"name": "example.org"}}})
	if err != nil {
		t.Fatal(err)
	}
	signer := &Signer{Registry: reg, Log: &trace.Log{}}
	domain, _ := reg.Find("Domain", "example.org")
	signer.ensure(domain)
	keys := reg.Values("DkimSignature")
	if len(keys) != 2 || res.Created["d"] != "b" {
		t.Fatalf("a domain without a policy gets both algorithms, has %d keys", len(keys))
	}
	message := "From: alice@example.org\r\nTo: bob@example.net\r\nSubject: s\r\nDate: Sat, 21 Nov 2026 00:49:59 +0000\r\n\r\nhello\r\n"
	signed := signer.Sign("example.org", []byte(message))
	verified, err := dkim.VerifyWithOptions(bytes.NewReader(signed), &dkim.VerifyOptions{LookupTXT: func(name string) ([]string, error) {
		for _, k := range keys {
			if strings.HasPrefix(name, k["selector"].(string)+".") {
				kind := "rsa"
				if k["@type"] == Ed25519 {
					kind = "ed25519"
				}
				return []string{"v=DKIM1; k=" + kind + "; p=" + k["publicKey"].(string)}, nil
			}
		}
		return nil, nil
	}})
	if err != nil || len(verified) != 2 {
		t.Fatalf("verified %d signatures: %v", len(verified), err)
	}
	for _, v := range verified {
		if v.Err != nil {
			t.Error(v.Err)
		}
	}
}
