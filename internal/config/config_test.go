package config_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/towpath/towpath/internal/config"
)

func env(pairs ...string) func(string) (string, bool) {
	vars := map[string]string{}
	for i := 0; i < len(pairs); i += 2 {
		vars[pairs[i]] = pairs[i+1]
	}
	return func(name string) (string, bool) { v, ok := vars[name]; return v, ok }
}

const token = "0123456789abcdef"

func TestParseReadsEveryField(t *testing.T) {
	t.Parallel()
	got, err := config.Parse("towpath.yaml", []byte(`
bots:
  - id: demo
    token: ${DEMO_TOKEN}
    url: http://127.0.0.1:9000
  - {id: quiet, token: 1234567890123456}
integrations:
  - name: acme
    url: https://acme.example/hook
    token: ${ACME_TOKEN}
    definition: acme.definition.json
    verify: {scheme: hmac, header: x-signature}
  - {name: own, url: "http://127.0.0.1:1", token: 0123456789abcdef, definition: /own.json, unverified: true}
installations:
  - bot: demo
    integration: slack
    webhookId: webhook_demo_slack
    configuration: {botToken: "${SLACK}", signingSecret: ["${SLACK}-old", new]}
  - {bot: demo, integration: slack, alias: slack2, configurationType: manual, disabled: true}
  - {bot: quiet, integration: slack}
`), env("DEMO_TOKEN", "demo-token-of-the-bot", "ACME_TOKEN", token, "SLACK", "xoxb"))
	if err != nil {
		t.Fatal(err)
	}
	want := &config.File{
		Bots: []config.Bot{
			{ID: "demo", Token: "demo-token-of-the-bot", URL: "http://127.0.0.1:9000"},
			{ID: "quiet", Token: "1234567890123456"},
		},
		Integrations: []config.Integration{
			{Name: "acme", URL: "https://acme.example/hook", Token: token, Definition: "acme.definition.json", Verify: []byte(`{"scheme":"hmac","header":"x-signature"}`)},
			{Name: "own", URL: "http://127.0.0.1:1", Token: token, Definition: "/own.json", Unverified: true},
		},
		Installations: []config.Installation{
			{Bot: "demo", Integration: "slack", Alias: "slack", WebhookID: "webhook_demo_slack", Configuration: []byte(`{"botToken":"xoxb","signingSecret":["xoxb-old","new"]}`)},
			{Bot: "demo", Integration: "slack", Alias: "slack2", ConfigurationType: "manual", Configuration: []byte(`{}`), Disabled: true},
			{Bot: "quiet", Integration: "slack", Alias: "slack", Configuration: []byte(`{}`)},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestParseReportsEveryFaultWithItsLine(t *testing.T) {
	t.Parallel()
	_, err := config.Parse("towpath.yaml", []byte(`bots:
  - id: demo
    tokn: 0123456789abcdef
  - id: bad.id
    token: short
    url: ftp://example.com
  - id: demo
    token: ${UNSET}
integrations:
  - name: acme
    url: /relative
    token: 0123456789abcdef
    definition: a.json
instalations: []
installations:
  - bot: demo
    integration: slack
    webhookId: hook
  - bot: demo
    integration: other
    alias: slack
    webhookId: hook
    disabled: maybe
  - bot: stranger
    integration: slack
    configuration: text
    bot: demo
`), env())
	if err == nil {
		t.Fatal("faults were accepted")
	}
	want := []string{
		`towpath.yaml:2: bots[0]: token is missing; add it`,
		`towpath.yaml:3: bots[0]: unknown key "tokn"; did you mean token? The keys here are id, token, url`,
		`towpath.yaml:4: bots[1].id: must be 1 to 64 letters, digits, _ or -, beginning with a letter or digit; rename it`,
		`towpath.yaml:5: bots[1].token: is shorter than 16 characters; make a random one, for example with openssl rand -hex 24`,
		`towpath.yaml:6: bots[1].url: must be an absolute http or https URL; write it like https://example.com/path`,
		`towpath.yaml:7: bots[2].id: the same id already stands on line 2; rename or delete one of them`,
		`towpath.yaml:8: bots[2].token: the environment variable UNSET is not set; set it, or write ${UNSET:-default}`,
		`towpath.yaml:10: integrations[0]: nothing says how webhooks are verified; add verify, or unverified: true if its handler verifies by itself`,
		`towpath.yaml:11: integrations[0].url: must be an absolute http or https URL; write it like https://example.com/path`,
		`towpath.yaml:14: unknown key "instalations"; did you mean installations? The keys here are bots, integrations, installations`,
		`towpath.yaml:21: installations[1].alias: the bot already has an installation of this alias on line 17; give one of them another alias`,
		`towpath.yaml:22: installations[1].webhookId: the same webhookId already stands on line 18; rename or delete one of them`,
		`towpath.yaml:23: installations[1].disabled: must be true or false; write one of them`,
		`towpath.yaml:24: installations[2].bot: no bot of this file has that id; add it under bots, or name one that is there`,
		`towpath.yaml:26: installations[2].configuration: must be a mapping; write key: value lines`,
		`towpath.yaml:27: installations[2].bot: the key already stands on line 24; delete one of them`,
	}
	if diff := cmp.Diff(want, strings.Split(err.Error(), "\n")); diff != "" {
		t.Error(diff)
	}
}

// configuration parses one installation's configuration, given in flow style.
func configuration(t *testing.T, flow string, getenv func(string) (string, bool)) (string, error) {
	t.Helper()
	file, err := config.Parse("f", []byte("bots: [{id: b, token: 0123456789abcdef}]\ninstallations:\n- {bot: b, integration: i, configuration: "+flow+"}\n"), getenv)
	if err != nil {
		return "", err
	}
	return string(file.Installations[0].Configuration), nil
}

func TestConfigurationKeepsWhatIsWritten(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ in, want string }{
		"integers beyond 2^53":         {"{a: 9007199254740993}", `{"a":9007199254740993}`},
		"integers beyond 64 bits":      {"{a: -123456789012345678901234567890}", `{"a":-123456789012345678901234567890}`},
		"decimals digit for digit":     {"{a: 1.10, b: 0.5}", `{"a":1.10,"b":0.5}`},
		"exponents are text":           {"{a: 1e3, b: 12E5}", `{"a":"1e3","b":"12E5"}`},
		"other notations are text":     {"{a: 007, b: 0x1F, c: 1_000, d: +1, e: .5, f: 1., g: .inf}", `{"a":"007","b":"0x1F","c":"1_000","d":"+1","e":".5","f":"1.","g":".inf"}`},
		"dates are text":               {"{a: 2024-01-01}", `{"a":"2024-01-01"}`},
		"quoted numbers are text":      {`{a: "1", b: '2', c: !!str 3}`, `{"a":"1","b":"2","c":"3"}`},
		"booleans and null":            {"{a: true, b: FALSE, c: null, d: ~, e: , f: yes}", `{"a":true,"b":false,"c":null,"d":null,"e":null,"f":"yes"}`},
		"nesting and order":            {"{z: [1, {y: x}, []], a: {}}", `{"z":[1,{"y":"x"},[]],"a":{}}`},
		"characters JSON escapes":      {`{a: "\"\\<&>\n\0"}`, `{"a":"\"\\<&>\n\u0000"}`},
		"aliases":                      {"{a: &x {b: 1}, c: *x}", `{"a":{"b":1},"c":{"b":1}}`},
		"numeric keys":                 {"{1: a}", `{"1":"a"}`},
		"expanded values stay strings": {`{a: "${N}", b: "${T}", c: "x${N}y"}`, `{"a":"1","b":"true","c":"x1y"}`},
		"yaml in a value is text":      {`{a: "${YAML}"}`, `{"a":"}\nbots: [] # ${N}"}`},
		"defaults":                     {`{a: "${NONE:-d}", b: "${EMPTY:-e}", c: "${NONE:-}", d: "${EMPTY}"}`, `{"a":"d","b":"e","c":"","d":""}`},
		"dollars":                      {"{a: $$5, b: $5, c: '$${N}', d: '$$${N}', e: $}", `{"a":"$5","b":"$5","c":"${N}","d":"$1","e":"$"}`},
		"keys are not expanded":        {"{'${N}': 1}", `{"${N}":1}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := configuration(t, c.in, env("N", "1", "T", "true", "EMPTY", "", "YAML", "}\nbots: [] # ${N}"))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestParseRefusesWithoutShowingValues(t *testing.T) {
	t.Parallel()
	bomb := "a: &a [x,x,x,x,x,x,x,x,x,x]\n"
	for c := 'b'; c <= 'j'; c++ {
		prev := string(c - 1)
		bomb += string(c) + ": &" + string(c) + " [" + strings.TrimSuffix(strings.Repeat("*"+prev+",", 10), ",") + "]\n"
	}
	for name, c := range map[string]struct{ in, want string }{
		"empty":                    {"", "f:1: the file is empty"},
		"only a comment":           {"# nothing\n", "f:1: the file is empty"},
		"two documents":            {"bots: []\n---\nbots: []\n", "f:2: a second document"},
		"a second broken document": {"bots: []\n---\n\tx: [", "not YAML"},
		"syntax":                   {"bots:\n  - id: SECRET\n token: SECRET\n", "not YAML"},
		"anchor that is a secret":  {"bots:\n- token: *SECRET\n", "f:2: a value begins with *"},
		"a list at the top":        {"- SECRET", "f:1: must be a mapping"},
		"text at the top":          {"SECRET", "f:1: must be a mapping"},
		"self containing alias":    {"bots: &a [*a]", "nested more than"},
		"alias bomb":               {bomb, "too large"},
		"deep nesting":             {"bots: " + strings.Repeat("[", 200) + strings.Repeat("]", 200), "nested more than"},
		"size":                     {"#" + strings.Repeat("x", config.MaxSize), "larger than 1048576 bytes"},
		"merge key":                {"<<: {bots: []}", "merging with <<"},
		"tag":                      {"bots: [{id: !secret SECRET, token: 0123456789abcdef}]", "tags are not supported"},
		"null entry":               {"bots: [~]", "bots[0]: must be a mapping"},
		"bots that are no list":    {"bots: SECRET", "bots: must be a list"},
		"nested token":             {"bots: [{id: a, token: [SECRET]}]", "bots[0].token: must be text"},
		"credentials in a URL":     {"bots: [{id: a, token: 0123456789abcdef, url: 'http://u:SECRET@x/'}]", "neither a user"},
		"URL that does not parse":  {"bots: [{id: a, token: 0123456789abcdef, url: 'http://SECRET\x7f%zz'}]", "f:1: "},
		"open variable":            {"bots: [{id: a, token: '${SECRET'}]", "bots[0].token: ${ is not closed"},
		"malformed variable":       {"bots: [{id: a, token: '${SECRET x}'}]", "bots[0].token: what stands in ${}"},
		"variable that is not UTF-8": {
			"bots: [{id: a, token: '${BINARY}'}]", "the environment variable BINARY is not UTF-8"},
		"id from a variable":        {"bots: [{id: '${ID}', token: 0123456789abcdef}]", "bots[0].id: must be"},
		"verify beside unverified":  {"integrations: [{name: a, url: 'http://x', token: 0123456789abcdef, definition: d, verify: {s: SECRET}, unverified: true}]", "contradict"},
		"integration without token": {"integrations: [{name: a, url: 'http://x', definition: d, unverified: true}]", "integrations[0]: token is missing"},
		"duplicate key in configuration": {
			"bots: [{id: b, token: 0123456789abcdef}]\ninstallations: [{bot: b, integration: i, configuration: {a: {k: SECRET, k: SECRET}}}]",
			"f:2: installations[0].configuration.a.k: the key already stands on line 2"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file, err := config.Parse("f", []byte(c.in), env("ID", "SECRET.x", "BINARY", "SECRET\xff"))
			if err == nil {
				t.Fatalf("accepted as %+v", file)
			}
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("the error lacks %q:\n%v", c.want, err)
			}
			if strings.Contains(err.Error(), "SECRET") {
				t.Errorf("the error shows a value:\n%v", err)
			}
		})
	}
}

func TestAVariableCannotBlowTheFileUp(t *testing.T) {
	t.Parallel()
	in := "{a: [" + strings.Repeat(`"${BIG}",`, 100) + "]}"
	if _, err := configuration(t, in, env("BIG", strings.Repeat("x", 100_000))); err == nil {
		t.Error("10 MB from variables were accepted")
	}
}

func TestFaultsAreBounded(t *testing.T) {
	t.Parallel()
	_, err := config.Parse("f", []byte("bots:\n"+strings.Repeat("- {}\n", 500)), env())
	if err == nil || len(strings.Split(err.Error(), "\n")) != 101 || !strings.Contains(err.Error(), "and 900 more faults") {
		t.Errorf("unexpected error: %v", err)
	}
}

func TestLoadResolvesDefinitionsBesideTheFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "towpath.yaml")
	if err := os.WriteFile(path, []byte("integrations: [{name: a, url: 'http://x', token: 0123456789abcdef, definition: d.json, unverified: true}]"), 0o600); err != nil {
		t.Fatal(err)
	}
	file, err := config.Load(path, env())
	if err != nil {
		t.Fatal(err)
	}
	if got, want := file.Integrations[0].Definition, filepath.Join(dir, "d.json"); got != want {
		t.Errorf("definition is %s, want %s", got, want)
	}
	if _, err := config.Load(filepath.Join(dir, "absent.yaml"), env()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("an absent file gives %v", err)
	}
}
