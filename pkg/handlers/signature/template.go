package signature

import (
	"errors"
	"fmt"
	"strings"
)

// part is text of a template, or a placeholder in it.
type part struct {
	kind placeholder
	text string
}

type placeholder string

const (
	textPart      placeholder = ""
	bodyPart      placeholder = "body"
	timestampPart placeholder = "timestamp"
	idPart        placeholder = "id"
	urlPart       placeholder = "url"
)

func parseTemplate(template string) ([]part, error) {
	var parts []part
	for rest := template; rest != ""; {
		before, after, found := strings.Cut(rest, "{")
		if before != "" {
			parts = append(parts, part{text: before})
		}
		if !found {
			break
		}
		name, after, closed := strings.Cut(after, "}")
		kind := placeholder(name)
		switch kind {
		case bodyPart, timestampPart, idPart, urlPart:
		default:
			closed = false
		}
		if !closed {
			return nil, fmt.Errorf("{%.20s: placeholders are {body}, {timestamp}, {id} and {url}", name)
		}
		if has(parts, kind) {
			return nil, fmt.Errorf("{%s} is in it twice", name)
		}
		// Without text between them, bytes could move from an id into what follows under the same signature.
		if len(parts) > 0 && parts[len(parts)-1].kind == idPart {
			return nil, errors.New("{id} needs text after it that ends it")
		}
		parts = append(parts, part{kind: kind})
		rest = after
	}
	return parts, nil
}

func has(parts []part, kind placeholder) bool {
	for _, p := range parts {
		if p.kind == kind {
			return true
		}
	}
	return false
}

// signed is what a signature covers: the template with the message's values.
func (c compiled) signed(msg Message, stamp string) ([]byte, error) {
	if len(c.parts) == 1 {
		return msg.Body, nil
	}
	out := make([]byte, 0, len(c.Template)+len(msg.Body)+len(msg.URL)+len(stamp)+64)
	for i, p := range c.parts {
		switch p.kind {
		case textPart:
			out = append(out, p.text...)
		case bodyPart:
			out = append(out, msg.Body...)
		case timestampPart:
			out = append(out, stamp...)
		case urlPart:
			if msg.URL == "" {
				return nil, refuse(Missing, "the scheme signs the URL, and the public URL is not known")
			}
			out = append(out, msg.URL...)
		case idPart:
			value, err := single(msg.Header, c.IDHeader)
			if err != nil {
				return nil, err
			}
			if i+1 < len(c.parts) && strings.Contains(value, c.parts[i+1].text) {
				return nil, refuse(Malformed, "%s holds the text that ends it", c.IDHeader)
			}
			out = append(out, value...)
		}
	}
	return out, nil
}
