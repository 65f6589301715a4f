package store

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/towpath/towpath/internal/broker"
	"github.com/towpath/towpath/pkg/events"
)

// BotSpec is a bot as it is wanted.
type BotSpec struct{ ID, Token, URL string }

// InstallationSpec is an installation as it is wanted. An empty WebhookID lets
// one be generated, the same for the same bot and alias.
type InstallationSpec struct {
	Bot, Integration, Alias, WebhookID string
	ConfigurationType                  string
	Configuration                      json.RawMessage
	Disabled                           bool
}

// Desired is everything that is wanted.
type Desired struct {
	// WebhookBase and a webhook id make a webhook URL: "https://…/webhooks/".
	WebhookBase   string
	Bots          []BotSpec
	Installations []InstallationSpec
}

// Changes tells what Apply changed: ids of bots, webhook ids of installations.
type Changes struct {
	Bots        []string // new or changed
	RemovedBots []string
	Installed   []string // new
	Changed     []string
	Removed     []string // on their way out, until they are unregistered
}

// applying is one run of Apply.
type applying struct {
	*Store
	changes     Changes
	webhookBase string
	fromFile    bool
	have        map[string]Installation // by webhook id
	at          time.Time
}

// Apply makes bots and installations what is desired; what is not desired goes.
// Check judges each installation before anything is written. Apply may be
// repeated, also after it was cut off anywhere: what is still pending is asked
// for again, and asking twice registers once.
func (s *Store) Apply(ctx context.Context, d Desired, check func(InstallationSpec) error) (Changes, error) {
	if err := checkDesired(d, check); err != nil {
		return Changes{}, err
	}
	a, err := s.applying(ctx)
	if err != nil {
		return Changes{}, err
	}
	a.webhookBase, a.fromFile = d.WebhookBase, true
	if _, err := s.installations.Put(ctx, webhookBaseKey, []byte(d.WebhookBase)); err != nil {
		return Changes{}, err
	}
	err = a.run(ctx, d)
	return a.changes, err
}

// applying reads what there is.
func (s *Store) applying(ctx context.Context) (*applying, error) {
	a := &applying{Store: s, have: map[string]Installation{}, at: s.now().UTC()}
	installed, err := s.Installations(ctx)
	for _, one := range installed {
		a.have[one.WebhookID] = one
	}
	return a, err
}

func (a *applying) run(ctx context.Context, d Desired) error {
	for _, spec := range d.Bots {
		if err := a.bot(ctx, spec); err != nil {
			return fmt.Errorf("bot %s: %w", spec.ID, err)
		}
	}
	wanted := map[string]bool{}
	var pending []Installation
	for _, spec := range d.Installations {
		installed, err := a.install(ctx, spec)
		if err != nil {
			return fmt.Errorf("installation %s of bot %s: %w", spec.Alias, spec.Bot, err)
		}
		wanted[installed.WebhookID] = true
		if installed.Status == RegistrationPending && !installed.Disabled {
			pending = append(pending, installed)
		}
	}
	for id, installed := range a.have {
		stays := !installed.FromFile && !installed.Leaving() && wantsBot(d, installed.BotID) && !wantsAlias(d, installed)
		if wanted[id] || stays {
			continue
		}
		leaving, err := a.uninstall(ctx, installed)
		if err != nil {
			return fmt.Errorf("installation %s: %w", id, err)
		}
		if leaving.Status == UnregistrationPending {
			pending = append(pending, leaving)
		}
	}
	if err := a.removeBots(ctx, d.Bots); err != nil {
		return err
	}
	slices.Sort(a.changes.Removed)
	for _, installed := range pending {
		if err := a.enqueue(ctx, installed); err != nil {
			return err
		}
	}
	return nil
}

func wantsBot(d Desired, id string) bool {
	return slices.ContainsFunc(d.Bots, func(bot BotSpec) bool { return bot.ID == id })
}

// wantsAlias tells whether the alias of an installation is wanted, so that only
// one may have it.
func wantsAlias(d Desired, installed Installation) bool {
	return slices.ContainsFunc(d.Installations, func(spec InstallationSpec) bool {
		return spec.Bot == installed.BotID && spec.Alias == installed.Alias
	})
}

func checkDesired(d Desired, check func(InstallationSpec) error) error {
	var faults []error
	bots, webhooks, aliases := map[string]bool{}, map[string]bool{}, map[[2]string]bool{}
	for _, bot := range d.Bots {
		if bot.ID == "" || bots[bot.ID] {
			faults = append(faults, fmt.Errorf("bot %q: ids must be given and differ", bot.ID))
		}
		bots[bot.ID] = true
	}
	for _, i := range d.Installations {
		alias := [2]string{i.Bot, i.Alias}
		switch {
		case !bots[i.Bot]:
			faults = append(faults, fmt.Errorf("installation %q: there is no bot %q", i.Alias, i.Bot))
		case i.Alias == "" || strings.Contains(i.Alias, ":"):
			faults = append(faults, fmt.Errorf("installation %q of bot %s: an alias must be given and hold no colon", i.Alias, i.Bot))
		case aliases[alias]:
			faults = append(faults, fmt.Errorf("installation %q: bot %s has two of them", i.Alias, i.Bot))
		case i.WebhookID != "" && webhooks[i.WebhookID]:
			faults = append(faults, fmt.Errorf("installation %q: webhook id %s is taken by another one", i.Alias, i.WebhookID))
		case check != nil:
			if err := check(i); err != nil {
				faults = append(faults, fmt.Errorf("installation %q of bot %s: %w", i.Alias, i.Bot, err))
			}
		}
		aliases[alias], webhooks[i.WebhookID] = true, true
	}
	return errors.Join(faults...)
}

func (a *applying) bot(ctx context.Context, spec BotSpec) error {
	changed := false
	_, err := a.bots.Modify(ctx, broker.Key(spec.ID), func(value []byte) ([]byte, error) {
		bot := Bot{ID: spec.ID, UserID: botUserID(spec.ID), CreatedAt: a.at}
		if value != nil {
			if err := json.Unmarshal(value, &bot); err != nil {
				return nil, err
			}
		}
		bot.TokenHash, bot.URL = hashToken(spec.Token), spec.URL
		encoded, err := json.Marshal(bot)
		changed = !bytes.Equal(encoded, value)
		if !changed {
			return nil, err
		}
		return encoded, err
	})
	if changed {
		a.changes.Bots = append(a.changes.Bots, spec.ID)
	}
	return err
}

func (a *applying) removeBots(ctx context.Context, wanted []BotSpec) error {
	keys, err := a.bots.Keys(ctx, "*")
	if err != nil {
		return err
	}
	for _, key := range keys {
		if slices.ContainsFunc(wanted, func(spec BotSpec) bool { return broker.Key(spec.ID) == key }) {
			continue
		}
		bot, revision, err := load[Bot](ctx, a.bots, key)
		if err == nil {
			err = a.bots.Delete(ctx, key, revision)
		}
		if err != nil {
			return fmt.Errorf("remove bot %s: %w", key, err)
		}
		a.changes.RemovedBots = append(a.changes.RemovedBots, bot.ID)
	}
	return nil
}

// webhookID is the one that is given, or the one that bot and alias have.
func (a *applying) webhookID(spec InstallationSpec) string {
	if spec.WebhookID != "" {
		return spec.WebhookID
	}
	leaving := ""
	for id, installed := range a.have {
		if installed.BotID != spec.Bot || installed.Alias != spec.Alias {
			continue
		}
		if !installed.Leaving() {
			return id
		}
		leaving = id
	}
	if leaving != "" {
		return leaving
	}
	return "webhook_" + strings.ToLower(events.Nonce())
}

// install writes the record first and the alias second. In between, the alias
// leads to nothing new yet, and nothing is lost when Apply runs again.
func (a *applying) install(ctx context.Context, spec InstallationSpec) (Installation, error) {
	id := a.webhookID(spec)
	var stands Installation
	isNew, changed := false, false
	_, err := a.installations.Modify(ctx, webhookKey(id), func(value []byte) ([]byte, error) {
		before := Installation{WebhookID: id, CreatedAt: a.at}
		isNew = value == nil
		if !isNew {
			if err := json.Unmarshal(value, &before); err != nil {
				return nil, err
			}
		}
		stands = spec.over(before, a.webhookBase+id, a.at)
		stands.FromFile = before.FromFile || a.fromFile
		encoded, err := json.Marshal(stands)
		changed = !bytes.Equal(encoded, value)
		if !changed {
			return nil, err
		}
		return encoded, err
	})
	if err != nil {
		return stands, err
	}
	if isNew {
		a.changes.Installed = append(a.changes.Installed, id)
	} else if changed {
		a.changes.Changed = append(a.changes.Changed, id)
	}
	_, err = a.installations.Modify(ctx, aliasKey(spec.Bot, spec.Alias), func(value []byte) ([]byte, error) {
		if string(value) == id {
			return nil, nil
		}
		return []byte(id), nil
	})
	return stands, err
}

// over returns what an installation becomes when the spec is laid over it. A
// changed revision, or one that was leaving, asks for a registration.
func (spec InstallationSpec) over(before Installation, webhookURL string, at time.Time) Installation {
	after := before
	after.WebhookURL = webhookURL
	after.BotID, after.Integration, after.Alias = spec.Bot, spec.Integration, spec.Alias
	after.ConfigurationType, after.Configuration, after.Disabled = spec.ConfigurationType, spec.Configuration, spec.Disabled
	if len(after.Configuration) == 0 {
		after.Configuration = json.RawMessage("{}")
	}
	after.ConfigurationRevision = revision(after)
	if after.ConfigurationRevision != before.ConfigurationRevision || before.Leaving() {
		after.Status, after.StatusReason, after.RequestedAt, after.Paused = RegistrationPending, "", at, nil
	}
	if after.ConfigurationRevision != before.ConfigurationRevision || after.Status != before.Status ||
		after.Disabled != before.Disabled || after.BotID != before.BotID || after.Alias != before.Alias {
		after.UpdatedAt = at
	}
	return after
}

// revision is the hash of what a registration depends on.
func revision(i Installation) string {
	var compact bytes.Buffer
	if json.Compact(&compact, i.Configuration) != nil {
		compact.Write(i.Configuration)
	}
	parts, _ := json.Marshal([]string{i.BotID, i.Alias, i.Integration, i.ConfigurationType, i.WebhookURL, compact.String()})
	sum := sha256.Sum256(parts)
	return hex.EncodeToString(sum[:16])
}

func (a *applying) uninstall(ctx context.Context, installed Installation) (Installation, error) {
	return change(ctx, a.installations, webhookKey(installed.WebhookID), func(i *Installation) (bool, error) {
		if i.Leaving() {
			return false, nil
		}
		a.changes.Removed = append(a.changes.Removed, i.WebhookID)
		i.Status, i.StatusReason, i.RequestedAt, i.UpdatedAt = UnregistrationPending, "", a.at, a.at
		return true, nil
	})
}
