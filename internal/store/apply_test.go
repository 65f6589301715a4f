package store_test

import (
	"encoding/json"
	"errors"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/towpath/towpath/internal/broker"
	"github.com/towpath/towpath/internal/store"
	"github.com/towpath/towpath/pkg/client"
)

const (
	register   = "towpath.register"
	unregister = "towpath.unregister"
)

func TestApplyingTwiceRegistersOnce(t *testing.T) {
	t.Parallel()
	s, b, first := installed(t)
	second := s.open(s.connect())
	var group sync.WaitGroup
	for _, each := range []*store.Store{first, second, first, second} {
		group.Go(func() {
			changes, err := each.Apply(t.Context(), desired(), nil)
			if diff := cmp.Diff(store.Changes{}, changes); diff != "" || err != nil {
				t.Errorf("changes (-want +got):\n%s%v", diff, err)
			}
		})
	}
	group.Wait()
	if n := len(stored(t.Context(), t, b, broker.Commands, register)); n != 2 {
		t.Errorf("%d registrations of 2 installations", n)
	}
}

func TestApplyFollowsWhatIsDesired(t *testing.T) {
	t.Parallel()
	_, b, s := installed(t)
	ctx := t.Context()
	get := func(id string) store.Installation {
		t.Helper()
		return must[store.Installation](t)(s.Installation(ctx, id))
	}
	apply := func(d store.Desired) store.Changes {
		t.Helper()
		return must[store.Changes](t)(s.Apply(ctx, d, nil))
	}
	before := get(webhook)
	if before.Status != store.RegistrationPending || before.Alias != "slack" || string(before.Configuration) != `{"botToken":"x"}` {
		t.Errorf("installed %+v", before)
	}
	if err := s.SetRegistration(ctx, webhook, before.ConfigurationRevision, store.Registered, ""); err != nil {
		t.Fatal(err)
	}
	if changes := apply(desired()); len(changes.Changed) != 0 || get(webhook).Status != store.Registered {
		t.Errorf("what is registered and unchanged: %+v", changes)
	}

	d := desired()
	d.Installations[0].Configuration = json.RawMessage(`{"botToken":"y"}`)
	d.Installations = d.Installations[:1]
	changes := apply(d)
	want := store.Changes{Changed: []string{webhook}, Removed: []string{"webhook_demo_other"}}
	if diff := cmp.Diff(want, changes); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
	after := get(webhook)
	if after.Status != store.RegistrationPending || after.ConfigurationRevision == before.ConfigurationRevision {
		t.Errorf("a changed configuration is to be registered: %+v", after)
	}
	if err := s.SetRegistration(ctx, webhook, before.ConfigurationRevision, store.RegistrationFailed, "old"); err != nil || get(webhook).Status != after.Status {
		t.Errorf("a result of an outdated revision counts: %+v %v", get(webhook), err)
	}

	leaving := get("webhook_demo_other")
	if leaving.Status != store.UnregistrationPending || len(stored(ctx, t, b, broker.Commands, unregister)) != 1 {
		t.Errorf("leaving: %+v", leaving)
	}
	if err := s.SetRegistration(ctx, leaving.WebhookID, leaving.ConfigurationRevision, store.Registered, ""); err != nil || get(leaving.WebhookID).Status != store.UnregistrationPending {
		t.Errorf("a late registration brings back what is leaving: %v", err)
	}
	if _, err := as(s, bot).CallAction(ctx, client.CallActionInput{Type: "other:run", Input: json.RawMessage(`{}`)}); client.AsError(err).Type != client.ReferenceNotFound {
		t.Errorf("an action of what is leaving: %v", err)
	}
	if err := s.FinishUnregister(ctx, leaving.WebhookID); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Installation(ctx, leaving.WebhookID); !errors.Is(err, client.ErrNotFound) {
		t.Errorf("unregistered: %v", err)
	}
	if err := s.FinishUnregister(ctx, webhook); err != nil || get(webhook).WebhookID != webhook {
		t.Errorf("what is wanted was removed: %v", err)
	}
	if err := s.SetRegistration(ctx, leaving.WebhookID, leaving.ConfigurationRevision, store.UnregistrationFailed, ""); err != nil {
		t.Errorf("the result for one that is gone: %v", err)
	}
	if changes := apply(store.Desired{}); len(changes.RemovedBots) != 1 || len(changes.Removed) != 1 {
		t.Errorf("removing all: %+v", changes)
	}
}

// A removed installation that is wanted again, before and after it was
// unregistered, is registered again each time.
func TestWhatIsWantedAgainIsRegisteredAgain(t *testing.T) {
	t.Parallel()
	_, b, s := installed(t)
	ctx := t.Context()
	none := store.Desired{Bots: desired().Bots}
	for _, finish := range []bool{false, true} {
		must[store.Changes](t)(s.Apply(ctx, none, nil))
		if finish {
			for _, id := range []string{webhook, "webhook_demo_other"} {
				if err := s.FinishUnregister(ctx, id); err != nil {
					t.Fatal(err)
				}
			}
		}
		must[store.Changes](t)(s.Apply(ctx, desired(), nil))
		if got := must[store.Installation](t)(s.Installation(ctx, webhook)); got.Status != store.RegistrationPending {
			t.Errorf("status %s", got.Status)
		}
	}
	if n := len(stored(ctx, t, b, broker.Commands, register)); n != 6 {
		t.Errorf("2 installations wanted 3 times: %d registrations, want 6", n)
	}
}

func TestAGeneratedWebhookIDIsStable(t *testing.T) {
	t.Parallel()
	_, _, s := installed(t)
	d := desired()
	d.Installations = append(d.Installations, store.InstallationSpec{Bot: demo, Integration: "slack", Alias: "more"})
	first := must[store.Changes](t)(s.Apply(t.Context(), d, nil))
	second := must[store.Changes](t)(s.Apply(t.Context(), d, nil))
	if len(first.Installed) != 1 || len(first.Installed[0]) != len("webhook_")+26 || len(second.Installed)+len(second.Changed)+len(second.Removed) != 0 {
		t.Errorf("first %+v, then %+v", first, second)
	}
	// One that is given moves the alias to it, and the old one goes.
	d.Installations[2].WebhookID = "webhook_given"
	third := must[store.Changes](t)(s.Apply(t.Context(), d, nil))
	want := store.Changes{Installed: []string{"webhook_given"}, Removed: first.Installed}
	if diff := cmp.Diff(want, third); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
}

// Apply is cut off after the record is written: nothing is in the queue.
func TestApplyAgainAsksForWhatIsPending(t *testing.T) {
	t.Parallel()
	s := start(t)
	b := s.connect()
	opened := s.open(b)
	bucket := must[*broker.Bucket](t)(b.Bucket(t.Context(), broker.Installations))
	if _, err := opened.Apply(t.Context(), desired(), nil); err != nil {
		t.Fatal(err)
	}
	record := must[broker.Entry](t)(bucket.Get(t.Context(), broker.Key("webhook", webhook)))

	// The same record, found by an Apply on another, empty NATS.
	fresh := start(t)
	other := fresh.connect()
	bucket = must[*broker.Bucket](t)(other.Bucket(t.Context(), broker.Installations))
	must[uint64](t)(bucket.Create(t.Context(), broker.Key("webhook", webhook), record.Value))
	must[store.Changes](t)(fresh.open(other).Apply(t.Context(), desired(), nil))
	queued := stored(t.Context(), t, other, broker.Commands, register)
	var ids []string
	for _, message := range queued {
		ids = append(ids, message.Header["ce-id"][0])
	}
	before := stored(t.Context(), t, b, broker.Commands, register)
	if len(ids) != 2 || ids[0] != before[0].Header["ce-id"][0] {
		t.Errorf("registrations %v, want that of the record under its first id", ids)
	}
}

func TestNothingIsWrittenWhenAnythingIsWrong(t *testing.T) {
	t.Parallel()
	s := start(t)
	b := s.connect()
	opened := s.open(b)
	refused := errors.New("no such integration")
	for name, edit := range map[string]func(*store.Desired){
		"check refuses":      func(*store.Desired) {},
		"bot twice":          func(d *store.Desired) { d.Bots = append(d.Bots, d.Bots[0]) },
		"no bot":             func(d *store.Desired) { d.Installations[0].Bot = "nobody" },
		"alias twice":        func(d *store.Desired) { d.Installations[1].Alias = "slack" },
		"alias with a colon": func(d *store.Desired) { d.Installations[1].Alias = "a:b" },
		"webhook id twice":   func(d *store.Desired) { d.Installations[1].WebhookID = webhook },
	} {
		d := desired()
		edit(&d)
		_, err := opened.Apply(t.Context(), d, func(store.InstallationSpec) error {
			if name == "check refuses" {
				return refused
			}
			return nil
		})
		if err == nil || name == "check refuses" && !errors.Is(err, refused) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if keys := keysOf(t, b, broker.Installations, ">"); len(keys) != 0 {
		t.Errorf("written: %v", keys)
	}
	if keys := keysOf(t, b, broker.Bots, ">"); len(keys) != 0 {
		t.Errorf("written: %v", keys)
	}
}

func TestADisabledInstallationDoesNothing(t *testing.T) {
	t.Parallel()
	_, b, s := installed(t)
	conversation, _ := talk(t, s)
	d := desired()
	d.Installations[0].Disabled = true
	must[store.Changes](t)(s.Apply(t.Context(), d, nil))
	if _, err := as(s, slack).GetConversation(t.Context(), conversation); !errors.Is(err, client.ErrForbidden) {
		t.Errorf("its integration: %v", err)
	}
	if _, err := as(s, bot).CreateMessage(t.Context(), text(conversation, demo, "hi")); !errors.Is(err, client.ErrForbidden) {
		t.Errorf("a message to it: %v", err)
	}
	if n := len(stored(t.Context(), t, b, broker.Commands, register)); n != 2 {
		t.Errorf("%d registrations, want the 2 from before", n)
	}
}

func TestATokenIsNotStored(t *testing.T) {
	t.Parallel()
	_, b, _ := installed(t)
	bucket := must[*broker.Bucket](t)(b.Bucket(t.Context(), broker.Bots))
	entry := must[broker.Entry](t)(bucket.Get(t.Context(), demo))
	if got := string(entry.Value); len(got) == 0 || contains(got, "the-demo-bots-token") {
		t.Errorf("record of the bot: %s", got)
	}
}

// The webhook id of an alias changes, in a file or one by one: the old URL must
// not go on with the old secret.
func TestAnInstallationThatLostItsAliasGoes(t *testing.T) {
	t.Parallel()
	for name, move := range map[string]func(*store.Store, store.InstallationSpec) error{
		"installed": func(s *store.Store, spec store.InstallationSpec) error {
			_, err := s.Install(t.Context(), spec, nil)
			return err
		},
		"applied": func(s *store.Store, spec store.InstallationSpec) error {
			d := desired()
			d.Installations = append(d.Installations, spec)
			_, err := s.Apply(t.Context(), d, nil)
			return err
		},
	} {
		_, b, s := installed(t)
		ctx := t.Context()
		spec := store.InstallationSpec{Bot: demo, Integration: "slack", Alias: "more", WebhookID: "webhook_old"}
		must[store.Installation](t)(s.Install(ctx, spec, nil))
		spec.WebhookID = "webhook_new"
		for range 2 {
			if err := move(s, spec); err != nil {
				t.Fatal(err)
			}
		}
		if old := must[store.Installation](t)(s.Installation(ctx, "webhook_old")); !old.Leaving() {
			t.Errorf("%s: the old one is %s", name, old.Status)
		}
		if n := len(stored(ctx, t, b, broker.Commands, unregister)); n != 1 {
			t.Errorf("%s: unregistered %d times", name, n)
		}
		if err := s.FinishUnregister(ctx, "webhook_old"); err != nil {
			t.Fatal(err)
		}
		if now := must[store.Installation](t)(s.SetDisabled(ctx, demo, "more", true)); now.WebhookID != "webhook_new" || !now.Disabled {
			t.Errorf("%s: the alias leads to %+v", name, now)
		}
	}
}
