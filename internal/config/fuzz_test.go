package config_test

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"github.com/towpath/towpath/internal/config"
)

// FuzzParse holds that no file makes Parse panic, that no value of a variable
// shows in an error, and that what is accepted is well formed.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"",
		"bots: [{id: demo, token: '${T}', url: 'http://127.0.0.1:1'}]\ninstallations: [{bot: demo, integration: slack, configuration: {a: 1e3, b: [9007199254740993, ~]}}]",
		"integrations:\n- name: acme\n  url: '${T}'\n  token: ${T:-x}\n  definition: a.json\n  verify: {scheme: hmac}\n",
		"bots: &a [*a]",
		"bots: *x",
		"a: !!int ${T}\n---\nb: |\n  ${T}\n",
		"<<: {bots: []}\n? [k]\n: $${T}",
	} {
		f.Add([]byte(seed))
	}
	const secret = "s3cr3t-marker-in-no-file"
	id := regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$`)
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 4<<10 {
			t.Skip("longer ones find nothing else, more slowly")
		}
		file, err := config.Parse("f", data, env("T", secret))
		if err != nil {
			if strings.Contains(err.Error(), secret) {
				t.Errorf("the error shows a value: %v", err)
			}
			return
		}
		bots := map[string]bool{}
		for _, b := range file.Bots {
			if !id.MatchString(b.ID) || len(b.Token) < 16 || bots[b.ID] {
				t.Errorf("bad bot %+v", b)
			}
			bots[b.ID] = true
		}
		for _, in := range file.Integrations {
			if !id.MatchString(in.Name) || in.Unverified != (in.Verify == nil) {
				t.Errorf("bad integration %+v", in)
			}
		}
		for _, in := range file.Installations {
			if !bots[in.Bot] || !id.MatchString(in.Integration) || !id.MatchString(in.Alias) {
				t.Errorf("bad installation %+v", in)
			}
			var object map[string]any
			if err := json.Unmarshal(in.Configuration, &object); err != nil {
				t.Errorf("configuration %s: %v", in.Configuration, err)
			}
		}
	})
}
