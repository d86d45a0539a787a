package expr

import "testing"

func env(values map[string]any) Env {
	return Env{
		Variable: func(name string) any { return values[name] },
		Function: func(name string, args []any) any { return name == "is_local_domain" && Text(args[0]) == "example.org" },
	}
}

func TestChoose(t *testing.T) {
	route := map[string]any{
		"match": map[string]any{
			"0": map[string]any{"if": "is_local_domain(rcpt_domain)", "then": "'local'"},
			"1": map[string]any{"if": "retry_num > 2 && last_error == 'tls'", "then": "'invalid-tls'"},
		},
		"else": "'smarthost'",
	}
	for _, c := range []struct {
		values map[string]any
		want   string
	}{
		{map[string]any{"rcpt_domain": "example.org"}, "local"},
		{map[string]any{"rcpt_domain": "example.net", "retry_num": 3.0, "last_error": "tls"}, "invalid-tls"},
		{map[string]any{"rcpt_domain": "example.net", "retry_num": 3.0, "last_error": "none"}, "smarthost"},
	} {
		if got := Text(Choose(route, env(c.values))); got != c.want {
			t.Errorf("%v: %s, want %s", c.values, got, c.want)
		}
	}
}

func TestErrorsAreWordedAsTheServerWordsThem(t *testing.T) {
	_, err := Parse("no_such_function(")
	if err == nil || err.Error() != `Invalid variable or constant "no_such_function"` {
		t.Errorf("error = %v", err)
	}
}

func TestValues(t *testing.T) {
	for source, want := range map[string]string{
		"5s": "5000", "'a' + 'b'": "ab", "1 + 2 * 3": "7", "!is_empty('x')": "true", "-1 < 0": "true", "contains([plain, login], 'login')": "true",
	} {
		n, err := Parse(source)
		if err != nil {
			t.Errorf("%s: %v", source, err)
			continue
		}
		if got := Text(n.Eval(env(nil))); got != want {
			t.Errorf("%s = %s, want %s", source, got, want)
		}
	}
}
