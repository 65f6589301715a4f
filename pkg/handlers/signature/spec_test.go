package signature_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"github.com/towpath/towpath/pkg/handlers/signature"
)

func TestContradictorySpecsAreRefused(t *testing.T) {
	t.Parallel()
	type spec = signature.Spec
	type at = signature.Timestamp
	for name, test := range map[string]struct {
		spec spec
		says string
	}{
		"no header":                   {spec{}, "header:"},
		"header with a blank":         {spec{Header: "X Sig"}, "header:"},
		"unknown algorithm":           {spec{Header: "S", Algorithm: "md5"}, "algorithm:"},
		"unknown encoding":            {spec{Header: "S", Encoding: "base32"}, "encoding:"},
		"signature as bare text":      {spec{Header: "S", Encoding: signature.Text}, "encoding:"},
		"unknown list":                {spec{Header: "S", List: "csv", Version: "v1"}, "list:"},
		"list without version":        {spec{Header: "S", List: signature.Pairs}, "version:"},
		"version without list":        {spec{Header: "S", Version: "v1"}, "version:"},
		"separator without list":      {spec{Header: "S", Separator: ";"}, "separator:"},
		"separator in signatures":     {spec{Header: "S", List: signature.Pairs, Version: "v1", Separator: "a"}, "separator:"},
		"version with its end":        {spec{Header: "S", List: signature.Versions, Version: "v 1"}, "version,"},
		"time under a blank":          {spec{Header: "S", List: signature.Pairs, Version: "v1", Template: "{timestamp}{body}", Timestamp: at{Field: " "}}, "timestamp.field:"},
		"prefix of two lines":         {spec{Header: "S", Prefix: "a\nb"}, "prefix,"},
		"prefix after a blank":        {spec{Header: "S", Prefix: " a"}, "prefix,"},
		"time under the version":      {spec{Header: "S", List: signature.Pairs, Version: "v1", Template: "{timestamp}{body}", Timestamp: at{Field: "v1"}}, "timestamp.field:"},
		"time in the signature":       {spec{Header: "S", Template: "{timestamp}{body}", Timestamp: at{Header: "s"}}, "header:"},
		"id in the signature":         {spec{Header: "S", Template: "{id}.{body}", IDHeader: "s"}, "header:"},
		"id in the time":              {spec{Header: "S", Template: "{id}.{timestamp}{body}", IDHeader: "i", Timestamp: at{Header: "I"}}, "idHeader:"},
		"list with prefix":            {spec{Header: "S", List: signature.Pairs, Version: "v1", Prefix: "v0="}, "prefix:"},
		"body not signed":             {spec{Header: "S", Template: "{url}"}, "{body}"},
		"body twice":                  {spec{Header: "S", Template: "{body}{body}"}, "twice"},
		"unknown placeholder":         {spec{Header: "S", Template: "{method}{body}"}, "placeholders"},
		"placeholder not closed":      {spec{Header: "S", Template: "{body}{"}, "placeholders"},
		"id without header":           {spec{Header: "S", Template: "{id}.{body}"}, "idHeader:"},
		"id header without id":        {spec{Header: "S", IDHeader: "I"}, "idHeader:"},
		"id header with a blank":      {spec{Header: "S", Template: "{id}.{body}", IDHeader: "I D"}, "idHeader:"},
		"id not ended":                {spec{Header: "S", Template: "{id}{body}", IDHeader: "I"}, "{id} needs text"},
		"timestamp without source":    {spec{Header: "S", Template: "{timestamp}{body}"}, "timestamp:"},
		"unsigned timestamp":          {spec{Header: "S", Timestamp: at{Header: "T"}}, "timestamp:"},
		"timestamp header no name":    {spec{Header: "S", Template: "{timestamp}{body}", Timestamp: at{Header: "T:"}}, "timestamp.header:"},
		"two timestamps":              {spec{Header: "S", Template: "{timestamp}{body}", Timestamp: at{Header: "T", BodyPath: "t"}}, "timestamp:"},
		"field without pairs":         {spec{Header: "S", Template: "{timestamp}{body}", Timestamp: at{Field: "t"}}, "timestamp.field:"},
		"unknown unit":                {spec{Header: "S", Timestamp: at{BodyPath: "t", Unit: "us"}}, "timestamp.unit:"},
		"tolerance without timestamp": {spec{Header: "S", Tolerance: signature.Tolerance{Past: 1}}, "tolerance:"},
		"negative tolerance":          {spec{Header: "S", Timestamp: at{BodyPath: "t"}, Tolerance: signature.Tolerance{Past: -1}}, "tolerance:"},
		"unknown key encoding":        {spec{Header: "S", Key: signature.Key{Encoding: "base58"}}, "key.encoding:"},
		"ed25519 key as text":         {spec{Header: "S", Algorithm: signature.Ed25519}, "key.encoding:"},
		"key bounds crossed":          {spec{Header: "S", Key: signature.Key{Min: 2, Max: 1}}, "key:"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := test.spec.Verifier("secret")
			if err == nil || !strings.Contains(err.Error(), test.says) {
				t.Errorf("verifier: got %v, want an error that says %q", err, test.says)
			}
			if err := test.spec.Sign(&signature.Message{}, "secret", noon); err == nil {
				t.Error("it signs")
			}
			if err := test.spec.Validate(); err == nil {
				t.Error("it validates")
			}
		})
	}
}

func TestSpecIsTheSameFromJSONAndYAML(t *testing.T) {
	t.Parallel()
	want := signature.Spec{
		Algorithm: signature.SHA512, Header: "X-Sig", Encoding: signature.Base64, List: signature.Pairs, Separator: ";", Version: "h1",
		Template: "{id}:{timestamp}:{body}", IDHeader: "X-Id", Timestamp: signature.Timestamp{Field: "ts", Unit: signature.Milliseconds},
		Tolerance: signature.Tolerance{Past: signature.Duration(5 * time.Minute), Future: signature.Duration(time.Second)},
		Key:       signature.Key{Encoding: signature.Base64, Prefix: "k_", Min: 16, Max: 64}, RequireBody: true,
	}
	const written = `
algorithm: sha512
header: X-Sig
encoding: base64
list: pairs
separator: ";"
version: h1
template: "{id}:{timestamp}:{body}"
idHeader: X-Id
timestamp: {field: ts, unit: ms}
tolerance: {past: 5m, future: 1s}
key: {encoding: base64, prefix: k_, min: 16, max: 64}
requireBody: true
`
	var read signature.Spec
	decoder := yaml.NewDecoder(strings.NewReader(written))
	decoder.KnownFields(true)
	if err := decoder.Decode(&read); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, read); diff != "" {
		t.Errorf("from YAML (-want +got):\n%s", diff)
	}
	if err := read.Validate(); err != nil {
		t.Error(err)
	}
	raw, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	var again signature.Spec
	if err := json.Unmarshal(raw, &again); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, again); diff != "" {
		t.Errorf("through JSON (-want +got):\n%s", diff)
	}
	if err := json.Unmarshal([]byte(`{"tolerance":{"past":"soon"}}`), &again); err == nil {
		t.Error("a tolerance of \"soon\" is read")
	}
}

func TestEveryNamedSchemeRefusesEmptySecrets(t *testing.T) {
	t.Parallel()
	for _, name := range signature.Names() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			scheme, _ := signature.Named(name)
			for _, secrets := range [][]string{nil, {""}, {" "}, {"", ""}} {
				if _, err := scheme.Verifier(secrets...); !errors.Is(err, signature.ErrNoSecret) {
					t.Errorf("secrets %q: got %v, want ErrNoSecret", secrets, err)
				}
			}
			msg := signature.Message{URL: "https://h.example.com", Body: []byte(`{"webhookTimestamp":0}`)}
			if err := scheme.Sign(&msg, "", noon); !errors.Is(err, signature.ErrNoSecret) {
				t.Errorf("signing without secret: got %v, want ErrNoSecret", err)
			}
		})
	}
	if _, ok := signature.Named("fax"); ok {
		t.Error("there is a scheme named fax")
	}
}

func TestNothingThatPrintsHoldsTheSecret(t *testing.T) {
	t.Parallel()
	for _, s := range samples {
		v := s.vector("", s.secret)
		verifier, err := v.scheme(t).Verifier(s.secret)
		if err != nil {
			t.Fatal(err)
		}
		printed := fmt.Sprintf("%v %+v %#v", verifier, verifier, verifier)
		for _, name := range []string{s.header, s.stamp} {
			if name == "" {
				continue
			}
			for _, value := range []string{"", "x", v.Header.Get(s.header) + "A", strings.Repeat("0", 64)} {
				header := v.Header.Clone()
				header.Set(name, value)
				err := verifier.Verify(signature.Message{Header: header, Body: []byte(s.body), URL: s.url}, noon)
				printed += fmt.Sprintf(" %v %+v", err, err)
			}
		}
		_, err = v.scheme(t).Verifier(s.secret+"\x01*", "")
		printed += fmt.Sprint(err)
		_, given, _ := strings.Cut(v.Header.Get(s.header), "=")
		for _, secret := range []string{s.secret, given} {
			if secret != "" && strings.Contains(printed, secret) {
				t.Errorf("%s: a secret or signature is in %q", s.name, printed)
			}
		}
	}
}

func TestVerifyBuildsAndVerifies(t *testing.T) {
	t.Parallel()
	msg := signature.Message{Body: []byte("{}")}
	if err := signature.GitHub.Sign(&msg, "towpath", noon); err != nil {
		t.Fatal(err)
	}
	if err := signature.Verify(signature.GitHub, []string{"towpath"}, msg, noon); err != nil {
		t.Error(err)
	}
	if err := signature.Verify(signature.GitHub, nil, msg, noon); !errors.Is(err, signature.ErrNoSecret) {
		t.Errorf("without secret: got %v, want ErrNoSecret", err)
	}
}

// A timestamp of year 9999 is further away than a time.Duration reaches.
func TestTimeBeyondADurationIsEarly(t *testing.T) {
	t.Parallel()
	spec := signature.Zendesk
	spec.Tolerance = signature.Tolerance{Past: signature.Duration(time.Minute), Future: signature.Duration(time.Minute)}
	const stamp = "9999-01-01T00:00:00Z"
	header := http.Header{}
	header.Set(spec.Timestamp.Header, stamp)
	header.Set(spec.Header, samplesSign("zendesk", stamp))
	err := signature.Verify(spec, []string{"towpath-zendesk-one=="}, signature.Message{Header: header, Body: []byte("{}")}, noon)
	if got := reason(t, err); got != "early" {
		t.Errorf("got %s, want early", got)
	}
}

// samplesSign signs the body {} at another time than the sample's.
func samplesSign(name, stamp string) string {
	for _, s := range samples {
		if s.name == name {
			s.at = stamp
			return s.sign(s, s.secret, []byte("{}"))
		}
	}
	return ""
}

func TestSignedURLMustBeKnown(t *testing.T) {
	t.Parallel()
	spec := signature.Spec{Header: "S", Template: "{url}{body}"}
	msg := signature.Message{URL: "https://h.example.com/w"}
	if err := spec.Sign(&msg, "one", noon); err != nil {
		t.Fatal(err)
	}
	if err := signature.Verify(spec, []string{"one"}, msg, noon); err != nil {
		t.Error(err)
	}
	for url, want := range map[string]string{"": "missing", "https://h.example.com/v": "mismatch"} {
		msg.URL = url
		if got := reason(t, signature.Verify(spec, []string{"one"}, msg, noon)); got != want {
			t.Errorf("URL %q: got %s, want %s", url, got, want)
		}
	}
}
