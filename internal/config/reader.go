package config

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// maxFaults keeps the answer to a hopeless file readable.
const maxFaults = 100

// reader walks a document's nodes and collects what is wrong with them.
type reader struct {
	name     string
	expanded int                 // bytes that expand has written so far
	failed   map[*yaml.Node]bool // values that expand could not make
	faults   []fault
}

type fault struct {
	line int
	text string
}

// fault notes what is wrong at a line. Nothing passed to it may be a value of
// the file: keys, lines and names of variables only.
func (r *reader) faultf(line int, path, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if path != "" {
		text = path + ": " + text
	}
	r.faults = append(r.faults, fault{max(line, 1), text})
}

func (r *reader) err() error {
	slices.SortStableFunc(r.faults, func(a, b fault) int { return cmp.Compare(a.line, b.line) })
	var errs []error
	for i, f := range r.faults {
		if i == maxFaults {
			errs = append(errs, fmt.Errorf("%s:%d: and %d more faults from here; mend those above first", r.name, f.line, len(r.faults)-i))
			break
		}
		errs = append(errs, fmt.Errorf("%s:%d: %s", r.name, f.line, f.text))
	}
	return errors.Join(errs...)
}

// object is a mapping whose keys have been checked.
type object struct {
	*reader
	path   string
	line   int
	values map[string]*yaml.Node
}

// object reads a mapping that may have the known keys only, each once.
func (r *reader) object(n *yaml.Node, path string, known ...string) object {
	n = deref(n)
	o := object{r, path, n.Line, map[string]*yaml.Node{}}
	if n.Kind != yaml.MappingNode {
		r.faultf(n.Line, path, "must be a mapping with the keys %s; write key: value lines", strings.Join(known, ", "))
		return o
	}
	r.untagged(n, path, "!!map")
	r.pairs(n, path, func(key string, line int, value *yaml.Node) {
		if !slices.Contains(known, key) {
			advice := "use one of " + strings.Join(known, ", ")
			if near := nearest(key, known); near != "" {
				advice = fmt.Sprintf("did you mean %s? The keys here are %s", near, strings.Join(known, ", "))
			}
			r.faultf(line, path, "unknown key %q; %s", shorten(key), advice)
			return
		}
		o.values[key] = value
	})
	return o
}

// pairs calls each for every key of a mapping with the key's line, and notes
// keys that are not plain text or come twice.
func (r *reader) pairs(n *yaml.Node, path string, each func(key string, line int, value *yaml.Node)) {
	seen := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		at, key, value := n.Content[i].Line, deref(n.Content[i]), deref(n.Content[i+1])
		switch {
		case key.Kind != yaml.ScalarNode || isNull(key):
			r.faultf(at, path, "a key must be text; put it in quotes")
		case key.Tag == "!!merge":
			r.faultf(at, path, "merging with << is not supported; write the keys out")
		case seen[key.Value] != 0:
			r.faultf(at, join(path, shorten(key.Value)), "the key already stands on line %d; delete one of them", seen[key.Value])
		default:
			seen[key.Value] = at
			each(key.Value, at, value)
		}
	}
}

// list returns the elements under key, none when it is absent or null.
func (o object) list(key string) []*yaml.Node {
	if !o.has(key) {
		return nil
	}
	n := o.values[key]
	if n.Kind != yaml.SequenceNode {
		o.faultf(n.Line, join(o.path, key), "must be a list; begin each entry with a dash")
		return nil
	}
	return n.Content
}

// has reports whether key stands there with a value other than null.
func (o object) has(key string) bool {
	n, ok := o.values[key]
	return ok && !isNull(n)
}

// lineOf returns the line of the value under key, or of the object without it.
func (o object) lineOf(key string) int {
	if n, ok := o.values[key]; ok {
		return n.Line
	}
	return o.line
}

// text returns the value under key as written, and whether there is one that
// is not at fault.
func (o object) text(key string) (string, bool) {
	if !o.has(key) {
		return "", false
	}
	n := o.values[key]
	if n.Kind != yaml.ScalarNode {
		o.faultf(n.Line, join(o.path, key), "must be text; write one value")
		return "", false
	}
	o.untagged(n, join(o.path, key), "!!str")
	return n.Value, !o.failed[n]
}

// required is text that must be there and not be empty.
func (o object) required(key string) (string, bool) {
	if !o.has(key) {
		o.faultf(o.lineOf(key), o.path, "%s is missing; add it", key)
		return "", false
	}
	s, ok := o.text(key)
	if ok && s == "" {
		o.faultf(o.lineOf(key), join(o.path, key), "is empty; give it a value")
		return "", false
	}
	return s, ok
}

func (o object) flag(key string) bool {
	s, ok := o.text(key)
	if ok && s != "true" && s != "false" {
		o.faultf(o.lineOf(key), join(o.path, key), "must be true or false; write one of them")
	}
	return s == "true"
}

// join makes the path of a key within an object.
func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// shorten keeps a message readable whatever was written as a key.
func shorten(key string) string {
	const limit = 40
	if len(key) <= limit {
		return key
	}
	return strings.ToValidUTF8(key[:limit], "") + "…"
}
