package expr

import (
	"maps"
	"testing"
)

var functionsOfTest = Env{"is_local_domain": func(name string) bool { return name == "example.org" }}

func TestChoose(t *testing.T) {
	route := map[string]any{
		"match": map[string]any{
			"0": map[string]any{"if": "is_local_domain(rcpt_domain)", "then": "'local'"},
			"1": map[string]any{"if": "retry_num > 2 && last_error == 'tls'", "then": "'invalid-tls'"},
		},
		"else": "'smarthost'",
	}
	for _, c := range []struct {
		values Env
		want   string
	}{
		{Env{"rcpt_domain": "example.org"}, "local"},
		{Env{"rcpt_domain": "example.net", "retry_num": 3, "last_error": "tls"}, "invalid-tls"},
		{Env{"rcpt_domain": "example.net", "retry_num": 3, "last_error": "none"}, "smarthost"},
	} {
		maps.Copy(c.values, functionsOfTest)
		if got := Text(Choose(route, c.values)); got != c.want {
			t.Errorf("%v: %s, want %s", c.values, got, c.want)
		}
	}
}

func TestErrorsAreWordedAsTheServerWordsThem(t *testing.T) {
	_, err := Compile("no_such_function(")
	if err == nil || err.Error() != `Invalid variable or constant "no_such_function"` {
		t.Errorf("error = %v", err)
	}
}

func TestValues(t *testing.T) {
	for source, want := range map[string]string{
		"5s": "5000", "1d": "86400000", "'a' + 'b'": "ab", "1 + 2 * 3": "7", "!is_empty('x')": "true", "-1 < 0": "true",
		"contains([plain, login], 'login')": "true", "'5s of no_such_function'": "5s of no_such_function", "sender": "",
		"matches('^([^-]+)[-].*$', 'a-b') && $1 == 'a'": "true", "$DMARC_POLICY_ALLOW": "false",
		"!is_empty(authenticated_as) || !key_exists('spam-block', sender_domain)": "true",
	} {
		if got := Text(Choose(map[string]any{"else": source}, nil)); got != want {
			t.Errorf("%s = %s, want %s", source, got, want)
		}
	}
}
