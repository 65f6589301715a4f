package handlers_test

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/towpath/towpath/pkg/events"
	"github.com/towpath/towpath/pkg/handlers"
)

func TestOnlyLinesForTheBotsOwnerAreMarked(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	logger := logrus.New()
	logger.SetOutput(&out)
	logger.SetFormatter(&logrus.JSONFormatter{})
	l := handlers.Logger{Entry: logger.WithField("delivery", "dlv_1")}
	l.Info("for the operator")
	l.ForBot().WithField("channel", "C1").Warn("for the owner")
	decoder := json.NewDecoder(&out)
	for _, want := range []bool{false, true} {
		var line map[string]any
		if err := decoder.Decode(&line); err != nil {
			t.Fatal(err)
		}
		if line["for_bot"] == true != want || line["delivery"] != "dlv_1" {
			t.Errorf("line is %v", line)
		}
	}
}

func TestRoutesReadTheRequestAndTheIntegrationsSecrets(t *testing.T) {
	t.Parallel()
	i := acme()
	i.Identifier = &handlers.Identifier{
		Extract: func(r *events.Request, secrets handlers.SecretLookup) (string, error) {
			team, _ := secrets("TEAM")
			return r.Header.Get("X-Team") + team.Reveal(), nil
		},
		Fallback: func(r *events.Request, _ handlers.SecretLookup, now time.Time) (*events.Response, error) {
			return &events.Response{Status: 200, Body: []byte(r.Query + now.Format(time.Kitchen))}, nil
		},
	}
	secrets := func(name string) (handlers.Secret, bool) { return handlers.NewSecret("!"), name == "TEAM" }
	request := &events.Request{Header: map[string][]string{"X-Team": {"T1"}}, Query: "challenge "}
	identifier, err := i.Routes().Extract(request, secrets)
	if err != nil || identifier != "T1!" {
		t.Errorf("identifier %q, %v", identifier, err)
	}
	answer, err := i.Routes().Fallback(request, secrets, noon)
	if err != nil || string(answer.Body) != "challenge 12:00PM" {
		t.Errorf("answer %+v, %v", answer, err)
	}
}
