package faults_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A checker that cannot fail proves nothing: it must see what is planted.
func TestTheCheckerSeesWhatWentWrong(t *testing.T) {
	t.Parallel()
	const one, two, three = "c says 1", "c says 2", "c says 3"
	once := listed{incoming: 1, outgoing: 1, acked: 1}
	marked := once
	marked.ambiguous = 1
	posts := func(texts ...string) (all []send) {
		for _, text := range texts {
			all = append(all, send{channel: "c", text: text})
		}
		return all
	}
	good := func() evidence {
		return evidence{
			accepted: map[string][]string{"c": {one, two, three}}, heard: map[string][]string{"c": {one, two, three}},
			ids:    map[string]map[string]bool{one: {"e1": true}, two: {"e2": true}, three: {"e3": true}},
			sends:  posts(one, two, three),
			listed: map[string]listed{one: once, two: once, three: once},
		}
	}
	for _, c := range []struct {
		name  string
		plant func(*evidence)
		want  account // of what is wrong
	}{
		{"nothing", func(*evidence) {}, account{}},
		{"a message that was not sent", func(e *evidence) { e.sends = posts(one, three) }, account{lost: 1}},
		{"a message that the bot did not hear", func(e *evidence) {
			e.heard["c"] = []string{one, three}
			delete(e.ids, two)
		}, account{lost: 1}},
		{"a message that the API does not know", func(e *evidence) { delete(e.listed, two) }, account{lost: 1}},
		{"a message without an ack", func(e *evidence) { e.listed[two] = listed{incoming: 1, outgoing: 1} }, account{lost: 1}},
		{"a second event", func(e *evidence) { e.ids[two]["e4"] = true }, account{doubled: 1}},
		{"a second message", func(e *evidence) { e.listed[two] = listed{incoming: 2, outgoing: 1, acked: 1} }, account{doubled: 1}},
		{"a second answer", func(e *evidence) { e.listed[two] = listed{incoming: 1, outgoing: 2, acked: 2} }, account{doubled: 1}},
		{"a second send", func(e *evidence) { e.sends = posts(one, two, two, three) }, account{doubled: 1}},
		{"a second send that is marked", func(e *evidence) {
			e.sends, e.listed[two] = posts(one, two, two, three), marked
		}, account{ambiguous: 1}},
		{"a late second send that is marked", func(e *evidence) {
			e.sends, e.listed[two] = posts(one, two, three, two), marked
		}, account{ambiguous: 1}},
		{"a third send that is marked once", func(e *evidence) {
			e.sends, e.listed[two] = posts(one, two, two, two, three), marked
		}, account{doubled: 1, ambiguous: 1}},
		{"sends out of order", func(e *evidence) { e.sends = posts(two, one, three) }, account{misorders: 1}},
		{"events out of order", func(e *evidence) { e.heard["c"] = []string{three, one, two} }, account{misorders: 2}},
		{"a send of what nobody said", func(e *evidence) { e.sends = posts(one, two, "c says 4", three) }, account{misorders: 1}},
		{"a send to another conversation", func(e *evidence) { e.sends[1].channel = "d" }, account{misorders: 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			e := good()
			c.plant(&e)
			var got account
			e.count(&got)
			got = account{lost: got.lost, doubled: got.doubled, misorders: got.misorders, ambiguous: got.ambiguous}
			if diff := cmp.Diff(c.want, got, cmp.AllowUnexported(account{})); diff != "" {
				t.Error(diff)
			}
		})
	}
}
