package imapd

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// arg is one argument of a command: an atom, a string or a list.
type arg struct {
	text   string
	list   []arg
	isList bool
	quoted bool
}

var errSyntax = errors.New("syntax error")

const maxLiteral = 52428800

// parser reads commands. more is called before a synchronising literal is read.
type parser struct {
	reader *bufio.Reader
	more   func()
}

// command reads one complete command.
func (p *parser) command() (tag, name string, args []arg, err error) {
	words, err := p.args(0)
	if err != nil {
		return "", "", nil, err
	}
	if len(words) == 0 {
		return "", "", nil, errSyntax
	}
	tag = words[0].text
	if len(words) < 2 || words[0].isList || words[1].isList {
		return tag, "", nil, errSyntax
	}
	return tag, strings.ToUpper(words[1].text), words[2:], nil
}

// args reads up to the end of the line, or to the parenthesis that closes a list.
func (p *parser) args(depth int) ([]arg, error) {
	var out []arg
	for {
		c, err := p.reader.ReadByte()
		if err != nil {
			return nil, err
		}
		switch c {
		case ' ', '\r':
		case '\n':
			if depth > 0 {
				return nil, errSyntax
			}
			return out, nil
		case ')':
			if depth > 0 {
				return out, nil
			}
			return nil, p.skip()
		case '(':
			if depth > 32 {
				return nil, p.skip()
			}
			list, err := p.args(depth + 1)
			if err != nil {
				return nil, err
			}
			out = append(out, arg{list: list, isList: true})
		case '"':
			text, err := p.quoted()
			if err != nil {
				return nil, err
			}
			out = append(out, arg{text: text, quoted: true})
		case '{', '~':
			if c == '~' {
				if c, err = p.reader.ReadByte(); err != nil || c != '{' {
					return nil, p.skip()
				}
			}
			text, err := p.literal()
			if err != nil {
				return nil, err
			}
			out = append(out, arg{text: text, quoted: true})
		default:
			p.reader.UnreadByte()
			text, err := p.atom()
			if err != nil {
				return nil, err
			}
			out = append(out, arg{text: text})
		}
	}
}

// skip drops the rest of a line that makes no sense.
func (p *parser) skip() error {
	if _, err := p.reader.ReadString('\n'); err != nil {
		return err
	}
	return errSyntax
}

func (p *parser) quoted() (string, error) {
	var b strings.Builder
	for {
		c, err := p.reader.ReadByte()
		if err != nil {
			return "", err
		}
		switch c {
		case '"':
			return b.String(), nil
		case '\n':
			return "", errSyntax
		case '\\':
			if c, err = p.reader.ReadByte(); err != nil {
				return "", err
			}
		}
		b.WriteByte(c)
	}
}

func (p *parser) literal() (string, error) {
	head, err := p.reader.ReadString('\n')
	if err != nil {
		return "", err
	}
	head = strings.TrimRight(head, "\r\n")
	digits, plus := strings.CutSuffix(strings.TrimSuffix(head, "}"), "+")
	n, err := strconv.Atoi(digits)
	if err != nil || n < 0 || !strings.HasSuffix(head, "}") {
		return "", errSyntax
	}
	if n > maxLiteral {
		return "", fmt.Errorf("literal of %d bytes is too large", n)
	}
	if !plus {
		p.more()
	}
	buf := make([]byte, n)
	_, err = io.ReadFull(p.reader, buf)
	return string(buf), err
}

// atom reads a word; brackets keep spaces and parentheses inside together, as
// in BODY[HEADER.FIELDS (From)].
func (p *parser) atom() (string, error) {
	var b strings.Builder
	brackets := 0
	for {
		c, err := p.reader.ReadByte()
		if err != nil {
			return "", err
		}
		switch {
		case c == '[':
			brackets++
		case c == ']':
			brackets--
		case c == '\n' || c == '\r' || (brackets <= 0 && (c == ' ' || c == '(' || c == ')')):
			p.reader.UnreadByte()
			return b.String(), nil
		}
		b.WriteByte(c)
	}
}

// span is a range of a sequence set; 0 stands for '*'.
type span struct{ from, to uint32 }

// parseSet reads a sequence set. '$' is not remembered and matches nothing.
func parseSet(text string) ([]span, error) {
	var out []span
	for part := range strings.SplitSeq(text, ",") {
		first, last, ranged := strings.Cut(part, ":")
		if !ranged {
			last = first
		}
		var s span
		for i, t := range []string{first, last} {
			n := uint64(0)
			if t != "*" {
				var err error
				if n, err = strconv.ParseUint(t, 10, 32); err != nil || n == 0 {
					return nil, errSyntax
				}
			}
			if i == 0 {
				s.from = uint32(n)
			} else {
				s.to = uint32(n)
			}
		}
		out = append(out, s)
	}
	return out, nil
}

// contains says whether a number is in a set whose '*' means highest.
func contains(set []span, n, highest uint32) bool {
	for _, s := range set {
		from, to := s.from, s.to
		if from == 0 {
			from = highest
		}
		if to == 0 {
			to = highest
		}
		if from > to {
			from, to = to, from
		}
		if n >= from && n <= to {
			return true
		}
	}
	return false
}
