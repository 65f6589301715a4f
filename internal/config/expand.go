package config

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// expand replaces variables in every scalar value below n. It does not follow
// aliases: each node is replaced once, where it stands, so that a variable's
// value is never itself looked through for variables.
func (r *reader) expand(n *yaml.Node, path string, getenv func(string) (string, bool)) {
	switch n.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			r.expand(n.Content[i+1], join(path, shorten(n.Content[i].Value)), getenv)
		}
	case yaml.SequenceNode:
		for i, c := range n.Content {
			r.expand(c, fmt.Sprintf("%s[%d]", path, i), getenv)
		}
	case yaml.ScalarNode:
		if !strings.Contains(n.Value, "$") {
			return
		}
		value, err := substitute(n.Value, getenv)
		if err == nil {
			r.expanded += len(value)
			if r.expanded > maxWeight {
				value, err = "", errors.New("the variables hold too much; use shorter values")
			}
		}
		if err != nil {
			r.failed[n] = true
			r.faultf(n.Line, path, "%v", err)
		}
		// A string from here on, whatever it looks like.
		n.Value, n.Tag, n.Style = value, "!!str", yaml.DoubleQuotedStyle
	}
}

var variable = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// substitute replaces the variables of one value.
func substitute(s string, getenv func(string) (string, bool)) (string, error) {
	var out strings.Builder
	for {
		text, rest, found := strings.Cut(s, "$")
		out.WriteString(text)
		switch {
		case !found:
			return out.String(), nil
		case strings.HasPrefix(rest, "$"):
			out.WriteByte('$')
			s = rest[1:]
		case strings.HasPrefix(rest, "{"):
			inside, after, closed := strings.Cut(rest[1:], "}")
			if !closed {
				return "", errors.New("${ is not closed; write ${NAME}, or $${ for the characters themselves")
			}
			value, err := lookup(inside, getenv)
			if err != nil {
				return "", err
			}
			out.WriteString(value)
			s = after
		default:
			out.WriteByte('$')
			s = rest
		}
	}
}

// lookup answers what stands between the braces: NAME or NAME:-default.
func lookup(inside string, getenv func(string) (string, bool)) (string, error) {
	name, fallback, hasFallback := strings.Cut(inside, ":-")
	if !variable.MatchString(name) {
		return "", errors.New("what stands in ${} is no variable's name; write ${NAME} or ${NAME:-default}, or $${ for the characters themselves")
	}
	value, set := getenv(name)
	switch {
	case hasFallback && value == "":
		return fallback, nil
	case !set:
		return "", fmt.Errorf("the environment variable %s is not set; set it, or write ${%s:-default}", name, name)
	case !utf8.ValidString(value):
		return "", fmt.Errorf("the environment variable %s is not UTF-8; set it to text", name)
	}
	return value, nil
}
