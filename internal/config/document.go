package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

const (
	// maxDepth also ends a document whose alias points at its own ancestor.
	maxDepth = 64
	// maxWeight bounds the bytes and nodes of a document with its aliases
	// followed and its variables replaced, so that neither can blow it up.
	maxWeight = 4 << 20
)

// document parses data into the root of its only document, nil after a fault.
func (r *reader) document(data []byte) *yaml.Node {
	if len(data) > MaxSize {
		r.faultf(1, "", "the file is larger than %d bytes; split what it configures over several deployments", MaxSize)
		return nil
	}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	doc, err := next(dec)
	switch {
	case errors.Is(err, io.EOF), err == nil && isNull(doc.Content[0]):
		r.faultf(1, "", "the file is empty; write bots and installations into it")
		return nil
	case err != nil:
		r.syntax(data, err)
		return nil
	}
	switch more, err := next(dec); {
	case err == nil:
		r.faultf(more.Line, "", "a second document begins here; keep one document and delete the --- between them")
		return nil
	case !errors.Is(err, io.EOF):
		r.syntax(data, err)
		return nil
	}
	return doc.Content[0]
}

// next decodes one document. The YAML package reports some malformed input by
// panicking; to the reader of the file that is a syntax error like any other.
func next(dec *yaml.Decoder) (doc *yaml.Node, err error) {
	defer func() {
		if recover() != nil {
			doc, err = nil, errors.New("yaml: the document is malformed")
		}
	}()
	doc = new(yaml.Node)
	if err := dec.Decode(doc); err != nil {
		return nil, err
	}
	if doc.Kind != yaml.DocumentNode || len(doc.Content) != 1 {
		return nil, io.EOF
	}
	return doc, nil
}

var (
	yamlLine      = regexp.MustCompile(`^yaml: line (\d+): (.*)$`)
	unknownAnchor = regexp.MustCompile(`^yaml: unknown anchor '(.*)' referenced$`)
)

// syntax reports an error of the YAML package. Of those only the one about an
// unknown anchor quotes the file; what it quotes may be an unquoted secret that
// begins with a star, so it is turned into the line where it stands.
func (r *reader) syntax(data []byte, err error) {
	if m := unknownAnchor.FindStringSubmatch(err.Error()); m != nil {
		line := 1
		if before, _, found := strings.Cut(string(data), "*"+m[1]); found {
			line += strings.Count(before, "\n")
		}
		r.faultf(line, "", "a value begins with * but no anchor of that name stands before it; put the value in quotes")
		return
	}
	if m := yamlLine.FindStringSubmatch(err.Error()); m != nil {
		line, _ := strconv.Atoi(m[1])
		r.faultf(line, "", "not YAML: %s; look at the indentation and quotes around this line", m[2])
		return
	}
	r.faultf(1, "", "not YAML: %s; look at the indentation and quotes", strings.TrimPrefix(err.Error(), "yaml: "))
}

// bounded reports whether the document stays within bounds with every alias
// followed. Only then may anything else follow aliases.
func (r *reader) bounded(root *yaml.Node) bool {
	weight := 0
	var walk func(n *yaml.Node, depth int) error
	walk = func(n *yaml.Node, depth int) error {
		if n.Kind == yaml.AliasNode {
			n = n.Alias
		}
		if weight += 1 + len(n.Value); weight > maxWeight {
			return errors.New("the document is too large with its aliases and variables in place; use fewer aliases")
		}
		if depth > maxDepth {
			return fmt.Errorf("values are nested more than %d deep; remove levels, or the alias that contains itself", maxDepth)
		}
		for _, c := range n.Content {
			if err := walk(c, depth+1); err != nil {
				return err
			}
		}
		return nil
	}
	if err := walk(root, 0); err != nil {
		r.faultf(root.Line, "", "%v", err)
		return false
	}
	return true
}

// deref follows an alias to the node it stands for.
func deref(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}

func isNull(n *yaml.Node) bool {
	return n.Kind == yaml.ScalarNode && n.Tag == "!!null" && n.Style&yaml.TaggedStyle == 0
}
