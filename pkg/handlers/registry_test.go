package handlers_test

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/towpath/towpath/pkg/events"
	"github.com/towpath/towpath/pkg/handlers"
)

func TestRegistryTellsEveryFaultAtOnce(t *testing.T) {
	t.Parallel()
	wrong := acme()
	wrong.Name, wrong.Version, wrong.Unverified = "Wrong Name", "", false
	wrong.Events = []events.Declared{added, added, events.Define[sum]("Not-Camel")}
	wrong.Actions["Shout"] = handlers.NewAction(handlers.ActionInfo{},
		func(context.Context, handlers.ActionProps[config, chan int]) (sum, error) { return sum{}, nil })
	wrong.Channels["two words"] = handlers.Channel[config]{}
	_, err := handlers.NewRegistry(wrong, acme(), acme())
	wantError(t, err, []string{
		`integration name "Wrong Name"`, "version is missing", "set Verify, or say Unverified", "added is declared twice",
		`event "Not-Camel"`, `action "Shout"`, "action Shout: ", `channel "two words"`, `"acme" is registered twice`,
	}, nil)
}

func TestVerifyAndUnverifiedExcludeEachOther(t *testing.T) {
	t.Parallel()
	i := acme()
	i.Verify = nil
	i.Unverified = false
	installed, err := i.Configure(json.RawMessage(`{"token":"t"}`))
	if err != nil {
		t.Fatal(err)
	}
	wantError(t, installed.Verify(&events.Request{}, noon), []string{"verifies nothing"}, nil)
}

func TestRegistryFinds(t *testing.T) {
	t.Parallel()
	r, err := handlers.NewRegistry(acme())
	if err != nil {
		t.Fatal(err)
	}
	_, definition, err := r.Find("acme")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]handlers.Definition{definition}, r.Definitions()); diff != "" {
		t.Error(diff)
	}
	_, _, err = r.Find("apex")
	wantError(t, err, []string{`no integration "apex"`, "it has acme"}, nil)
}

func TestIntegrationIDNamesTheVersion(t *testing.T) {
	t.Parallel()
	id := func(name, version string) string {
		return handlers.Definition{Name: name, Version: version}.IntegrationID()
	}
	first, again, next, other := id("a", "1"), id("a", "1"), id("a", "2"), id("b", "1")
	if first != again || first == next || first == other || len(first) != len("intver_")+26 {
		t.Errorf("ids are %s, %s, %s, %s", first, again, next, other)
	}
}

var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
