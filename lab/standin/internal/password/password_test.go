package password

import "testing"

func TestVerify(t *testing.T) {
	made := Hash("Battery-Staple-7")
	for _, c := range []struct {
		hash, secret string
		want         bool
	}{
		{made, "Battery-Staple-7", true},
		{made, "battery-staple-7", false},
		{"$2a$04$SwnT2IzPXGJYcRc3lX6JTeUZJIrl5v/e2vqwIYpUKWRtjZl2EL2/K", "other", false},
		{"$argon2id$v=19$m=4194304,t=1,p=1$c2FsdHNhbHQ$AAAA", "", false},
		{"$argon2id$v=19$m=64,t=0,p=0$c2FsdHNhbHQ$AAAA", "", false},
		{"$argon2id$v=19$m=64,t=1,p=1$c2FsdHNhbHQ$", "", false},
		{"$argon2i$v=19$m=64,t=1,p=1$c2FsdHNhbHQ$AAAA", "", false},
		{"Battery-Staple-7", "Battery-Staple-7", false},
		{"", "", false},
	} {
		if got := Verify(c.hash, c.secret); got != c.want {
			t.Errorf("Verify(%q, %q) = %t", c.hash, c.secret, got)
		}
	}
}

func TestAPIKeysNameTheirAccount(t *testing.T) {
	if account, key, ok := ParseAPIKey(NewAPIKey("API_", "d333333", "c")); account != "d333333" || key != "c" || !ok {
		t.Errorf("account %s, key %s, %t", account, key, ok)
	}
}
