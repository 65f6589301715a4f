package store

import (
	"context"
	"errors"
	"maps"

	"github.com/towpath/towpath/internal/broker"
	"github.com/towpath/towpath/pkg/client"
)

// person is what a user has beside what every record has.
type person struct {
	Name       string            `json:"name,omitempty"`
	PictureURL string            `json:"pictureUrl,omitempty"`
	Properties map[string]string `json:"properties,omitempty"`
}

func viewUser(caller client.Caller, r record[person]) client.User {
	return client.User{
		ID: r.ID, CreatedAt: r.CreatedAt, UpdatedAt: r.UpdatedAt, Tags: viewTags(caller, r.Tags),
		Name: r.Body.Name, PictureURL: r.Body.PictureURL, Properties: r.Body.Properties,
	}
}

func (s *Store) createUser(ctx context.Context, call client.Call, in *client.CreateUserInput) (*client.UserOutput, error) {
	u, err := s.uniqueUser(ctx, call, &client.GetOrCreateUserInput{
		Tags: in.Tags, IntegrationName: in.IntegrationName, Name: in.Name, PictureURL: in.PictureURL, Properties: in.Properties,
	})
	if err != nil {
		return nil, err
	}
	made, err := u.make(ctx)
	return &client.UserOutput{User: viewUser(call.Caller, made)}, err
}

func (s *Store) getOrCreateUser(ctx context.Context, call client.Call, in *client.GetOrCreateUserInput) (*client.GetOrCreateUserOutput, error) {
	u, err := s.uniqueUser(ctx, call, in)
	if err != nil {
		return nil, err
	}
	found, made, err := u.get(ctx)
	return &client.GetOrCreateUserOutput{User: viewUser(call.Caller, found), Meta: client.Created{Created: made}}, err
}

func (s *Store) uniqueUser(ctx context.Context, call client.Call, in *client.GetOrCreateUserInput) (unique[person], error) {
	stored, selected, err := choose(call.Caller, in.Tags, in.DiscriminateByTags)
	if err == nil {
		err = errors.Join(checkLength("name", in.Name, maxName), checkLength("pictureUrl", in.PictureURL, maxPictureURL))
	}
	if err != nil {
		return unique[person]{}, err
	}
	alias, err := s.owner(ctx, call.Caller, in.IntegrationName)
	if err != nil {
		return unique[person]{}, err
	}
	e, err := s.effectOf(ctx, call, "user")
	if err != nil {
		return unique[person]{}, err
	}
	body := person{Name: in.Name, PictureURL: in.PictureURL, Properties: in.Properties}
	return unique[person]{
		bucket: s.users, bot: call.Caller.BotID, selected: selected,
		fresh: record[person]{
			ID: e.ID, Alias: alias, MadeBy: scoped(call), CreatedAt: e.At, UpdatedAt: e.At, Tags: stored, Body: body,
		},
		merge: func(r *record[person]) bool {
			changed := mergeTags(&r.Tags, storedTags(call.Caller, in.Tags))
			return r.Body.update(body) || changed
		},
	}, nil
}

// update takes over what is given and reports whether anything changed.
func (p *person) update(given person) bool {
	before := *p
	if given.Name != "" {
		p.Name = given.Name
	}
	if given.PictureURL != "" {
		p.PictureURL = given.PictureURL
	}
	p.Properties = maps.Clone(p.Properties)
	for key, value := range given.Properties {
		if p.Properties == nil {
			p.Properties = map[string]string{}
		}
		p.Properties[key] = value
	}
	return p.Name != before.Name || p.PictureURL != before.PictureURL || !maps.Equal(p.Properties, before.Properties)
}

func (s *Store) getUser(ctx context.Context, call client.Call, in *client.IDInput) (*client.UserOutput, error) {
	found, err := s.user(ctx, call.Caller, in.ID)
	if errors.Is(err, broker.ErrNoKey) {
		return nil, client.NotFound("User", in.ID)
	}
	return &client.UserOutput{User: viewUser(call.Caller, found)}, err
}

// user returns a user within a caller's reach, or [broker.ErrNoKey]. The bot's
// own user is in everybody's, under its id and the bot's.
func (s *Store) user(ctx context.Context, caller client.Caller, id string) (record[person], error) {
	if id == "" {
		return record[person]{}, broker.ErrNoKey
	}
	if id == caller.BotID || id == botUserID(caller.BotID) {
		bot, _, err := load[Bot](ctx, s.bots, broker.Key(caller.BotID))
		return record[person]{ID: bot.UserID, CreatedAt: bot.CreatedAt, UpdatedAt: bot.CreatedAt}, err
	}
	found, _, err := load[record[person]](ctx, s.users, broker.Key(caller.BotID, id))
	if err == nil && hidden(caller, found.Alias) {
		return record[person]{}, broker.ErrNoKey
	}
	return found, err
}

// owner returns the alias that a new entity belongs to: an integration's own,
// or the one that a bot names, which may be none.
func (s *Store) owner(ctx context.Context, caller client.Caller, named string) (string, error) {
	if caller.IsIntegration() {
		return caller.Alias, nil
	}
	if named == "" {
		return "", nil
	}
	_, err := s.byAlias(ctx, caller.BotID, named)
	if errors.Is(err, broker.ErrNoKey) {
		return "", client.NewError(client.ReferenceNotFound, "installation %q not found", named)
	}
	return named, err
}
