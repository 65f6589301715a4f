package handlers_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/sirupsen/logrus"

	"github.com/towpath/towpath/pkg/handlers"
)

func TestSecretsNeverPrint(t *testing.T) {
	t.Parallel()
	c := config{Token: handlers.NewSecret("hush"), Keys: handlers.Secrets{handlers.NewSecret("hush"), handlers.NewSecret("hush")}}
	values := map[string]any{
		"a secret": c.Token, "a pointer to one": &c.Token, "a list": c.Keys, "a struct": c, "a pointer to it": &c,
		"an unexported field": struct{ c config }{c}, "a pointer in one": struct{ s *handlers.Secret }{&c.Token},
		"a map": map[string]any{"c": c}, "a slice": []config{c}, "an error": fmt.Errorf("with %v", c),
	}
	for name, value := range values {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			if out := fmt.Sprintf(verb, value); strings.Contains(out, "hush") || strings.Contains(out, "68757368") {
				t.Errorf("%s prints with %s as %s", name, verb, out)
			}
		}
		out, err := json.Marshal(value)
		if err != nil || bytes.Contains(out, []byte("hush")) {
			t.Errorf("%s marshals as %s, %v", name, out, err)
		}
		for format, formatter := range map[string]logrus.Formatter{"text": &logrus.TextFormatter{}, "json": &logrus.JSONFormatter{}} {
			var log bytes.Buffer
			logger := logrus.New()
			logger.SetOutput(&log)
			logger.SetFormatter(formatter)
			logger.WithField("value", value).Error(value)
			if strings.Contains(log.String(), "hush") {
				t.Errorf("%s is logged as %s: %s", name, format, &log)
			}
		}
	}
}

func TestSecretsAreRevealed(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string][]string{`"a"`: {"a"}, `["a"]`: {"a"}, `["a","b"]`: {"a", "b"}} {
		var secrets handlers.Secrets
		if err := json.Unmarshal([]byte(raw), &secrets); err != nil || !slices.Equal(secrets.Reveal(), want) {
			t.Errorf("%s is %q, %v", raw, secrets.Reveal(), err)
		}
	}
}

func FuzzSecrets(f *testing.F) {
	for _, seed := range []string{`"a"`, `""`, `[]`, `["a",""]`, `null`, `[null]`, `{}`, ` "a"`, `7`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		var secrets handlers.Secrets
		if json.Unmarshal(raw, &secrets) != nil {
			return
		}
		if len(secrets) == 0 && string(bytes.TrimSpace(raw)) != "null" || slices.Contains(secrets.Reveal(), "") {
			t.Errorf("%q is taken as %q", raw, secrets.Reveal())
		}
	})
}
