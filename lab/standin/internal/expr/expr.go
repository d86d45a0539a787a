// Package expr evaluates the expressions that the server's settings use to
// choose routes, require authentication and so on. The language is that of
// expr-lang, but for durations (5s) and some names.
package expr

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/vm"
)

// Env gives variables and functions their meaning.
type Env map[string]any

var variables = strings.Fields(`asn authenticated_as body country domain email headers helo_domain host ip is_tls is_v4 is_v6
last_error last_status listener local local_ip local_port location method mx name notify_num octets path path_query port
priority protocol query queue_age queue_name raw rcpt rcpt_domain received_from_ip received_via_port recipients remote_ip
remote_ip_ptr remote_port retry_num reverse_ip scheme sender sender_domain size source subject to url value
env_from env_from.domain env_to from from.domain ip_reverse sld`)

var constants = strings.Fields(`relaxed strict disable optional require ipv4_only ipv6_only ipv6_then_ipv4 ipv4_then_ipv6
hourly daily weekly login plain xoauth2 oauthbearer mixer stanag4406 nsep`)

var functions = strings.Fields(`is_local_domain is_local_address is_empty is_number is_ip_addr is_ipv4_addr is_ipv6_addr
starts_with ends_with contains contains_ignore_case eq_ignore_case to_lowercase to_uppercase trim len key_exists key_get
system email_part split matches if_then ip_reverse_name dns_query count sort dedup winnow rsplit substring hash random`)

// base is what every expression finds: variables that mean nothing here are empty.
var base = Env{
	"is_empty":       func(v any) bool { return Text(v) == "" },
	"starts_with":    strings.HasPrefix,
	"ends_with":      strings.HasSuffix,
	"eq_ignore_case": strings.EqualFold,
	"to_lowercase":   strings.ToLower,
	"to_uppercase":   strings.ToUpper,
	"has":            has,
	"key_exists":     func(string, string) bool { return false },
}

func init() {
	for _, name := range variables {
		base[name] = ""
	}
	for _, name := range constants {
		base[name] = name
	}
}

var (
	words    = regexp.MustCompile(`'[^']*'|"[^"]*"|\$\w+|\b\d+(ms|[smhd])\b|\b[A-Za-z_][A-Za-z0-9_.]*`)
	compiled sync.Map
	// tags are what the spam filter has found: a dollar sign and a name in capitals.
	tags = regexp.MustCompile(`^\$[A-Z][A-Z0-9_]+$`)
)

// Compile reads an expression. An unknown name is worded as the server words it.
func Compile(source string) (*vm.Program, error) {
	if p, ok := compiled.Load(source); ok {
		return p.(*vm.Program), nil
	}
	unknown := ""
	text := words.ReplaceAllStringFunc(source, func(word string) string {
		switch {
		case strings.ContainsAny(word[:1], `'"`), word == "true", word == "false":
		case tags.MatchString(word):
			return "false"
		case word[0] == '$':
			return "captured(" + word[1:] + ")"
		case strings.ContainsAny(word[:1], "0123456789"):
			if n, ok := strings.CutSuffix(word, "d"); ok {
				return "24 * " + milliseconds(n+"h")
			}
			return milliseconds(word)
		case word == "contains":
			// An operator of the library's language.
			return "has"
		case word == "matches":
			// So is this one.
			return "found"
		case base[word] == nil && !slices.Contains(functions, word):
			unknown = cmp.Or(unknown, word)
		case strings.Contains(word, "."):
			// The library takes a dot for a member; such a variable means nothing here.
			return strings.ReplaceAll(word, ".", "_")
		}
		return word
	})
	if unknown != "" {
		return nil, fmt.Errorf("Invalid variable or constant %q", unknown) //nolint:staticcheck // the server's own words
	}
	p, err := expr.Compile(text, expr.DisableAllBuiltins(), expr.AllowUndefinedVariables())
	if err == nil {
		compiled.Store(source, p)
	}
	return p, err
}

func milliseconds(duration string) string {
	d, _ := time.ParseDuration(duration)
	return strconv.FormatInt(d.Milliseconds(), 10)
}

// has is `contains`: an item of a list, or a part of a text.
func has(in any, item string) bool {
	switch in := in.(type) {
	case []any:
		return slices.Contains(in, any(item))
	case []string:
		return slices.Contains(in, item)
	}
	return strings.Contains(Text(in), item)
}

// Text is the value as a string.
func Text(v any) string {
	if v == nil {
		return ""
	}
	return fmt.Sprint(v)
}

// Truth is the value as a condition.
func Truth(v any) bool { return v != nil && v != false && v != "" && v != 0 }

// Choose evaluates an Expression object ({"match":{…},"else":…}): the first
// matching `then`, or `else`. What cannot be evaluated is nil.
func Choose(object any, env Env) any {
	m, ok := object.(map[string]any)
	if !ok {
		return nil
	}
	all := maps.Clone(base)
	maps.Copy(all, env)
	var groups []string
	all["found"] = func(pattern, text string) bool {
		re, err := regexp.Compile(pattern)
		if err != nil {
			return false
		}
		groups = re.FindStringSubmatch(text)
		return groups != nil
	}
	all["captured"] = func(n int) string {
		if n < len(groups) {
			return groups[n]
		}
		return ""
	}
	matches, _ := m["match"].(map[string]any)
	keys := slices.SortedFunc(maps.Keys(matches), func(a, b string) int {
		x, _ := strconv.Atoi(a)
		y, _ := strconv.Atoi(b)
		return x - y
	})
	for _, k := range keys {
		rule, _ := matches[k].(map[string]any)
		if Truth(run(rule["if"], all)) {
			return run(rule["then"], all)
		}
	}
	return run(m["else"], all)
}

func run(source any, env Env) any {
	p, err := Compile(Text(source))
	if err != nil {
		return nil
	}
	v, _ := vm.Run(p, map[string]any(env))
	return v
}
