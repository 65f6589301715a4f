// Package config reads Towpath's one YAML file: bots, integrations behind HTTP
// and installations. It refuses what it does not understand, says everything
// that is wrong at once and where, and never shows a value of the file, since
// any of them may be a secret.
package config

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"go.yaml.in/yaml/v3"
)

// MaxSize is how large a configuration file may be, in bytes.
const MaxSize = 1 << 20

// File is a configuration file that has been checked: ids are well formed and
// unique, and every installation names a bot of the file.
type File struct {
	Bots          []Bot
	Integrations  []Integration
	Installations []Installation
}

// Bot is one entry under bots.
type Bot struct {
	// ID names the bot; it is a token of NATS subjects.
	ID string
	// Token is what the bot's API calls carry, 16 characters or more.
	Token string
	// URL is where the bot's events are pushed, absolute http or https; empty
	// when the bot subscribes or lists by itself.
	URL string
}

// Integration is one entry under integrations: an integration behind HTTP.
type Integration struct {
	// Name is what installations call it.
	Name string
	// URL is where its operations are posted, absolute http or https.
	URL string
	// Token is what its API calls carry, 16 characters or more.
	Token string
	// Definition is the path of its definition as JSON. Load makes a relative
	// one relative to the file's directory; Parse leaves it as written.
	Definition string
	// Verify says how its webhooks are verified, as a JSON object; nil when
	// Unverified is set. One of the two is always given.
	Verify json.RawMessage
	// Unverified says that its own handler verifies webhooks.
	Unverified bool
}

// Installation is one entry under installations.
type Installation struct {
	// Bot is the id of a bot of the same file.
	Bot string
	// Integration is the name of a built-in integration or of one of the file.
	Integration string
	// Alias is the installation's name within its bot; the integration's name
	// unless the file says otherwise.
	Alias string
	// WebhookID is the last part of its webhook URL; empty means generated.
	WebhookID string
	// ConfigurationType names one of the integration's configurations; empty
	// means its first.
	ConfigurationType string
	// Configuration is a JSON object, {} when the file has none. Keys keep
	// their order and numbers their digits.
	Configuration json.RawMessage
	// Disabled keeps the installation but lets nothing run for it.
	Disabled bool
}

// Load reads and checks the file at path. See Parse.
func Load(path string, getenv func(string) (string, bool)) (*File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open configuration: %w", err)
	}
	defer f.Close()
	// One byte more than allowed, so that Parse can tell a file that is too
	// large from one that just fits.
	data, err := io.ReadAll(io.LimitReader(f, MaxSize+1))
	if err != nil {
		return nil, fmt.Errorf("read configuration %s: %w", path, err)
	}
	file, err := Parse(path, data, getenv)
	if err != nil {
		return nil, err
	}
	for i := range file.Integrations {
		if d := file.Integrations[i].Definition; !filepath.IsAbs(d) {
			file.Integrations[i].Definition = filepath.Join(filepath.Dir(path), d)
		}
	}
	return file, nil
}

// Parse checks data and returns what it says. In values (never in keys),
// ${NAME} is replaced by what getenv says of NAME (os.LookupEnv is such a
// function), ${NAME:-default} by default where NAME is unset or empty, and $$
// by a dollar; what was replaced is a string and never read as YAML. The error
// joins one error per fault, each reading "name:line: what is wrong; what to
// do", in the order of the lines.
func Parse(name string, data []byte, getenv func(string) (string, bool)) (*File, error) {
	r := &reader{name: name, failed: map[*yaml.Node]bool{}}
	root := r.document(data)
	if root == nil || !r.bounded(root) {
		return nil, r.err()
	}
	r.expand(root, "", getenv)
	if !r.bounded(root) { // again, now that variables have grown it
		return nil, r.err()
	}
	file := r.file(root)
	if err := r.err(); err != nil {
		return nil, err
	}
	return file, nil
}
