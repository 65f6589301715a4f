package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"

	"go.yaml.in/yaml/v3"
)

// jsonObject returns the free-form mapping under key as a JSON object, nil
// when it is absent or null.
func (o object) jsonObject(key string) json.RawMessage {
	if !o.has(key) {
		return nil
	}
	n := o.values[key]
	if n.Kind != yaml.MappingNode {
		o.faultf(n.Line, join(o.path, key), "must be a mapping; write key: value lines")
		return nil
	}
	var out bytes.Buffer
	o.json(&out, n, join(o.path, key))
	return out.Bytes()
}

// json writes n as JSON.
func (r *reader) json(out *bytes.Buffer, n *yaml.Node, path string) {
	switch n = deref(n); n.Kind {
	case yaml.MappingNode:
		r.untagged(n, path, "!!map")
		sep := byte('{')
		r.pairs(n, path, func(key string, _ int, value *yaml.Node) {
			out.WriteByte(sep)
			quote(out, key)
			out.WriteByte(':')
			r.json(out, value, join(path, shorten(key)))
			sep = ','
		})
		if sep == '{' {
			out.WriteByte(sep)
		}
		out.WriteByte('}')
	case yaml.SequenceNode:
		r.untagged(n, path, "!!seq")
		out.WriteByte('[')
		for i, c := range n.Content {
			if i > 0 {
				out.WriteByte(',')
			}
			r.json(out, c, fmt.Sprintf("%s[%d]", path, i))
		}
		out.WriteByte(']')
	case yaml.ScalarNode:
		r.untagged(n, path, "!!str")
		r.scalar(out, n)
	}
}

// untagged refuses a tag written in the file, except one that says what the
// node is anyway.
func (r *reader) untagged(n *yaml.Node, path, allowed string) {
	if n.Style&yaml.TaggedStyle != 0 && n.Tag != allowed {
		r.faultf(n.Line, path, "tags are not supported; write the value without its !tag, in quotes if it is text")
	}
}

// plainNumber is the part of YAML's numbers that reads the same to a person,
// to YAML and to JSON, digit for digit.
var plainNumber = regexp.MustCompile(`^-?(0|[1-9][0-9]*)(\.[0-9]+)?$`)

// scalar writes null, true, false and plain numbers as they are, so that no
// digit is lost, and everything else as the text that stands in the file:
// YAML would read 1e3, 007, 0x1F, 1_000 and 2024-01-01 as something else, and
// in a chat platform's configuration they are ids and tokens.
func (r *reader) scalar(out *bytes.Buffer, n *yaml.Node) {
	plain := n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle|yaml.TaggedStyle) == 0
	switch {
	case isNull(n):
		out.WriteString("null")
	case plain && n.Tag == "!!bool":
		if n.Value[0] == 't' || n.Value[0] == 'T' {
			out.WriteString("true")
		} else {
			out.WriteString("false")
		}
	case plain && plainNumber.MatchString(n.Value):
		out.WriteString(n.Value)
	default:
		quote(out, n.Value)
	}
}

func quote(out *bytes.Buffer, s string) {
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	// A string always encodes; invalid UTF-8 has been refused before.
	_ = enc.Encode(s)
	out.Truncate(out.Len() - 1) // the newline that Encode adds
}
