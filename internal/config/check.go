package config

import (
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"

	"go.yaml.in/yaml/v3"
)

// minToken is how many characters a token needs, so that nobody guesses it.
const minToken = 16

// id is what may be one token of a NATS subject.
var id = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$`)

// unique remembers the line on which a name was first used.
type unique map[string]int

func (r *reader) file(root *yaml.Node) *File {
	o := r.object(root, "", "bots", "integrations", "installations")
	f := &File{}
	bots, names, webhooks, aliases := unique{}, unique{}, unique{}, unique{}
	for i, n := range o.list("bots") {
		f.Bots = append(f.Bots, r.bot(n, fmt.Sprintf("bots[%d]", i), bots))
	}
	for i, n := range o.list("integrations") {
		f.Integrations = append(f.Integrations, r.integration(n, fmt.Sprintf("integrations[%d]", i), names))
	}
	for i, n := range o.list("installations") {
		f.Installations = append(f.Installations, r.installation(n, fmt.Sprintf("installations[%d]", i), bots, aliases, webhooks))
	}
	return f
}

func (r *reader) bot(n *yaml.Node, path string, bots unique) Bot {
	o := r.object(n, path, "id", "token", "url")
	b := Bot{ID: o.id("id", true), Token: o.token()}
	o.once("id", b.ID, bots)
	if o.has("url") {
		b.URL = o.url()
	}
	return b
}

func (r *reader) integration(n *yaml.Node, path string, names unique) Integration {
	o := r.object(n, path, "name", "url", "token", "definition", "verify", "unverified")
	in := Integration{Name: o.id("name", true), Token: o.token(), URL: o.url(), Verify: o.jsonObject("verify"), Unverified: o.flag("unverified")}
	in.Definition, _ = o.required("definition")
	o.once("name", in.Name, names)
	switch {
	case in.Unverified && o.has("verify"):
		o.faultf(o.lineOf("verify"), path, "verify and unverified contradict each other; keep one of them")
	case !in.Unverified && !o.has("verify"):
		o.faultf(o.line, path, "nothing says how webhooks are verified; add verify, or unverified: true if its handler verifies by itself")
	}
	return in
}

func (r *reader) installation(n *yaml.Node, path string, bots, aliases, webhooks unique) Installation {
	o := r.object(n, path, "bot", "integration", "alias", "webhookId", "configurationType", "configuration", "disabled")
	in := Installation{
		Bot: o.id("bot", true), Integration: o.id("integration", true), Alias: o.id("alias", false),
		WebhookID: o.id("webhookId", false), Configuration: o.jsonObject("configuration"), Disabled: o.flag("disabled"),
	}
	in.ConfigurationType, _ = o.text("configurationType")
	if in.Configuration == nil {
		in.Configuration = json.RawMessage("{}")
	}
	if in.Bot != "" && bots[in.Bot] == 0 {
		o.faultf(o.lineOf("bot"), join(path, "bot"), "no bot of this file has that id; add it under bots, or name one that is there")
	}
	o.once("webhookId", in.WebhookID, webhooks)

	key := "alias"
	if !o.has(key) {
		key, in.Alias = "integration", in.Integration
	}
	if in.Bot != "" && in.Alias != "" {
		r.first(o.lineOf(key), join(path, key), in.Bot+"."+in.Alias, aliases, "the bot already has an installation of this alias on line %d; give one of them another alias")
	}
	return in
}

// id returns the text under key when it is an id, else nothing.
func (o object) id(key string, needed bool) string {
	read := o.text
	if needed {
		read = o.required
	}
	s, ok := read(key)
	if !ok {
		return ""
	}
	if !id.MatchString(s) {
		o.faultf(o.lineOf(key), join(o.path, key), "must be 1 to 64 letters, digits, _ or -, beginning with a letter or digit; rename it")
		return ""
	}
	return s
}

func (o object) once(key, value string, seen unique) {
	if value != "" {
		o.first(o.lineOf(key), join(o.path, key), value, seen, "the same "+key+" already stands on line %d; rename or delete one of them")
	}
}

// first notes a fault when value has been seen; format takes the line where.
func (r *reader) first(line int, path, value string, seen unique, format string) {
	if before := seen[value]; before != 0 {
		r.faultf(line, path, format, before)
		return
	}
	seen[value] = line
}

func (o object) token() string {
	s, ok := o.required("token")
	if ok && len(s) < minToken {
		o.faultf(o.lineOf("token"), join(o.path, "token"), "is shorter than %d characters; make a random one, for example with openssl rand -hex 24", minToken)
	}
	return s
}

func (o object) url() string {
	s, ok := o.required("url")
	if !ok {
		return ""
	}
	u, err := url.Parse(s)
	switch {
	case err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "":
		o.faultf(o.lineOf("url"), join(o.path, "url"), "must be an absolute http or https URL; write it like https://example.com/path")
	case u.User != nil || u.Fragment != "":
		o.faultf(o.lineOf("url"), join(o.path, "url"), "must have neither a user nor a fragment; use token for credentials")
	}
	return s
}
