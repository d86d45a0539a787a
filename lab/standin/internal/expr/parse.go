// Package expr reads and evaluates the expressions that the server's settings
// use to choose routes, require authentication and so on.
package expr

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// Node is a parsed expression.
type Node interface {
	Eval(env Env) any
}

// Env gives variables and functions their meaning.
type Env struct {
	Variable func(name string) any
	Function func(name string, args []any) any
}

var variables = strings.Fields(`asn authenticated_as body country domain email helo_domain host ip is_tls is_v4 is_v6
last_error last_status listener local local_ip local_port location method mx name notify_num octets path path_query port
priority protocol query queue_age queue_name raw rcpt rcpt_domain received_from_ip received_via_port recipients remote_ip
remote_port retry_num reverse_ip scheme sender sender_domain size source subject to url value`)

var constants = strings.Fields(`relaxed strict disable optional require ipv4_only ipv6_only ipv6_then_ipv4 ipv4_then_ipv6
hourly daily weekly login plain xoauth2 oauthbearer mixer stanag4406 nsep true false`)

var functions = strings.Fields(`is_local_domain is_local_address is_empty is_number is_ip_addr is_ipv4_addr is_ipv6_addr
starts_with ends_with contains contains_ignore_case eq_ignore_case to_lowercase to_uppercase trim len key_exists key_get
system email_part split matches if_then ip_reverse_name dns_query count sort dedup winnow rsplit substring hash random`)

// Parse reads an expression. Errors are worded as the server words them.
func Parse(source string) (Node, error) {
	p := &parser{input: []rune(source)}
	p.advance()
	n, err := p.binary(0)
	if err != nil {
		return nil, err
	}
	if p.kind != end {
		return nil, fmt.Errorf("Unexpected token %q", p.text) //nolint:staticcheck // the server's own words
	}
	return n, nil
}

type kind int

const (
	end kind = iota
	word
	number
	text
	operator
	bad
)

type parser struct {
	input []rune
	pos   int
	kind  kind
	text  string
}

func (p *parser) advance() {
	for p.pos < len(p.input) && unicode.IsSpace(p.input[p.pos]) {
		p.pos++
	}
	if p.pos == len(p.input) {
		p.kind, p.text = end, ""
		return
	}
	c := p.input[p.pos]
	start := p.pos
	switch {
	case c == '\'' || c == '"':
		p.pos++
		for p.pos < len(p.input) && p.input[p.pos] != c {
			p.pos++
		}
		if p.pos == len(p.input) {
			p.kind, p.text = bad, "Unterminated string"
			return
		}
		p.pos++
		p.kind, p.text = text, string(p.input[start+1:p.pos-1])
	case unicode.IsDigit(c):
		for p.pos < len(p.input) && (unicode.IsDigit(p.input[p.pos]) || unicode.IsLetter(p.input[p.pos]) || p.input[p.pos] == '.') {
			p.pos++
		}
		p.kind, p.text = number, string(p.input[start:p.pos])
	case unicode.IsLetter(c) || c == '_':
		for p.pos < len(p.input) && (unicode.IsLetter(p.input[p.pos]) || unicode.IsDigit(p.input[p.pos]) || strings.ContainsRune("_.", p.input[p.pos])) {
			p.pos++
		}
		p.kind, p.text = word, string(p.input[start:p.pos])
	default:
		width := 1
		if p.pos+1 < len(p.input) && slices.Contains([]string{"&&", "||", "==", "!=", ">=", "<="}, string(p.input[p.pos:p.pos+2])) {
			width = 2
		}
		p.pos += width
		p.kind, p.text = operator, string(p.input[start:p.pos])
	}
}

var levels = [][]string{{"||"}, {"&&"}, {"==", "!="}, {">", "<", ">=", "<="}, {"+", "-"}, {"*", "/"}}

func (p *parser) binary(level int) (Node, error) {
	if level == len(levels) {
		return p.unary()
	}
	left, err := p.binary(level + 1)
	if err != nil {
		return nil, err
	}
	for p.kind == operator && slices.Contains(levels[level], p.text) {
		op := p.text
		p.advance()
		right, err := p.binary(level + 1)
		if err != nil {
			return nil, err
		}
		left = binaryNode{op, left, right}
	}
	return left, nil
}

func (p *parser) unary() (Node, error) {
	if p.kind == operator && (p.text == "!" || p.text == "-") {
		op := p.text
		p.advance()
		n, err := p.unary()
		return unaryNode{op, n}, err
	}
	return p.primary()
}

func (p *parser) primary() (Node, error) {
	token, k := p.text, p.kind
	switch {
	case k == text:
		p.advance()
		return literal{token}, nil
	case k == number:
		p.advance()
		if v, err := strconv.ParseFloat(token, 64); err == nil {
			return literal{v}, nil
		}
		d, err := time.ParseDuration(strings.Replace(token, "d", "h", 1))
		if err != nil {
			return nil, fmt.Errorf("Invalid number %q", token) //nolint:staticcheck // the server's own words
		}
		return literal{float64(d.Milliseconds())}, nil
	case k == word:
		p.advance()
		if p.kind == operator && p.text == "(" && slices.Contains(functions, token) {
			args, err := p.list(")")
			return callNode{token, args}, err
		}
		return named(token)
	case k == operator && token == "(":
		p.advance()
		n, err := p.binary(0)
		if err != nil {
			return nil, err
		}
		if p.kind != operator || p.text != ")" {
			return nil, fmt.Errorf("Missing closing parenthesis") //nolint:staticcheck // the server's own words
		}
		p.advance()
		return n, nil
	case k == operator && token == "[":
		items, err := p.list("]")
		return listNode(items), err
	case k == bad:
		return nil, fmt.Errorf("%s", token)
	}
	return nil, fmt.Errorf("Unexpected end of expression") //nolint:staticcheck // the server's own words
}

func named(token string) (Node, error) {
	switch {
	case token == "true" || token == "false":
		return literal{token == "true"}, nil
	case slices.Contains(variables, token):
		return variableNode(token), nil
	case slices.Contains(constants, token):
		return literal{token}, nil
	}
	return nil, fmt.Errorf("Invalid variable or constant %q", token) //nolint:staticcheck // the server's own words
}

// list reads comma-separated expressions up to the closing token; the opening
// one is the current token.
func (p *parser) list(closing string) ([]Node, error) {
	var items []Node
	p.advance()
	for p.kind != operator || p.text != closing {
		n, err := p.binary(0)
		if err != nil {
			return nil, err
		}
		items = append(items, n)
		if p.kind == operator && p.text == "," {
			p.advance()
		} else if p.kind != operator || p.text != closing {
			return nil, fmt.Errorf("Missing %q", closing) //nolint:staticcheck // the server's own words
		}
	}
	p.advance()
	return items, nil
}
