package expr

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

type (
	literal      struct{ value any }
	variableNode string
	listNode     []Node
	callNode     struct {
		name string
		args []Node
	}
	unaryNode struct {
		op   string
		node Node
	}
	binaryNode struct {
		op          string
		left, right Node
	}
)

func (n literal) Eval(Env) any { return n.value }

func (n variableNode) Eval(env Env) any {
	if env.Variable == nil {
		return nil
	}
	return env.Variable(string(n))
}

func (n listNode) Eval(env Env) any {
	out := make([]any, len(n))
	for i, item := range n {
		out[i] = item.Eval(env)
	}
	return out
}

func (n callNode) Eval(env Env) any {
	args := make([]any, len(n.args))
	for i, a := range n.args {
		args[i] = a.Eval(env)
	}
	arg := func(i int) string {
		if i < len(args) {
			return Text(args[i])
		}
		return ""
	}
	switch n.name {
	case "is_empty":
		return arg(0) == ""
	case "starts_with":
		return strings.HasPrefix(arg(0), arg(1))
	case "ends_with":
		return strings.HasSuffix(arg(0), arg(1))
	case "contains":
		if list, ok := args[0].([]any); ok {
			return slices.ContainsFunc(list, func(v any) bool { return Text(v) == arg(1) })
		}
		return strings.Contains(arg(0), arg(1))
	case "eq_ignore_case":
		return strings.EqualFold(arg(0), arg(1))
	case "to_lowercase":
		return strings.ToLower(arg(0))
	case "to_uppercase":
		return strings.ToUpper(arg(0))
	case "trim":
		return strings.TrimSpace(arg(0))
	case "len":
		return float64(len(arg(0)))
	}
	if env.Function != nil {
		return env.Function(n.name, args)
	}
	return nil
}

func (n unaryNode) Eval(env Env) any {
	v := n.node.Eval(env)
	if n.op == "-" {
		return -number64(v)
	}
	return !Truth(v)
}

func (n binaryNode) Eval(env Env) any {
	left := n.left.Eval(env)
	switch n.op {
	case "||":
		return Truth(left) || Truth(n.right.Eval(env))
	case "&&":
		return Truth(left) && Truth(n.right.Eval(env))
	}
	right := n.right.Eval(env)
	switch n.op {
	case "==":
		return Text(left) == Text(right)
	case "!=":
		return Text(left) != Text(right)
	case ">":
		return number64(left) > number64(right)
	case "<":
		return number64(left) < number64(right)
	case ">=":
		return number64(left) >= number64(right)
	case "<=":
		return number64(left) <= number64(right)
	case "-":
		return number64(left) - number64(right)
	case "*":
		return number64(left) * number64(right)
	case "/":
		return number64(left) / number64(right)
	}
	a, aOK := left.(float64)
	b, bOK := right.(float64)
	if aOK && bOK {
		return a + b
	}
	return Text(left) + Text(right)
}

func number64(v any) float64 {
	switch v := v.(type) {
	case float64:
		return v
	case int:
		return float64(v)
	case string:
		f, _ := strconv.ParseFloat(v, 64)
		return f
	}
	return 0
}

// Text is the value as a string.
func Text(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	default:
		return fmt.Sprint(v)
	}
}

// Truth is the value as a condition.
func Truth(v any) bool {
	switch v := v.(type) {
	case bool:
		return v
	case string:
		return v != ""
	case nil:
		return false
	default:
		return number64(v) != 0
	}
}

// Choose evaluates an Expression object ({"match":{…},"else":…}): the first
// matching `then`, or `else`.
func Choose(object any, env Env) any {
	m, ok := object.(map[string]any)
	if !ok {
		return nil
	}
	matches, _ := m["match"].(map[string]any)
	keys := slices.SortedFunc(maps.Keys(matches), func(a, b string) int {
		x, _ := strconv.Atoi(a)
		y, _ := strconv.Atoi(b)
		return x - y
	})
	for _, k := range keys {
		rule, _ := matches[k].(map[string]any)
		if Truth(run(rule["if"], env)) {
			return run(rule["then"], env)
		}
	}
	return run(m["else"], env)
}

func run(source any, env Env) any {
	s, _ := source.(string)
	n, err := Parse(s)
	if err != nil {
		return nil
	}
	return n.Eval(env)
}
