package store

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"

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
		err = errors.Join(checkLength("name", in.Name, maxName), checkLength("pictureUrl", in.PictureURL, maxPictureURL),
			checkProperties(in.Properties))
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
		index: s.usersOf(call.Caller.BotID, alias), selected: selected, given: storedTags(call.Caller, in.Tags),
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
	return entity[person](ctx, s.users, caller, id)
}

// usersOf leads from tags to the users of an installation, or of the bot.
func (s *Store) usersOf(bot, alias string) index {
	return index{bucket: s.users, bot: bot, alias: alias, tags: recordTags[person](s.users, bot)}
}

func (s *Store) updateUser(ctx context.Context, call client.Call, in *client.UpdateUserInput) (*client.UserOutput, error) {
	err := errors.Join(checkTags(in.Tags), checkLength("name", in.Name.Text, maxName),
		checkLength("pictureUrl", in.PictureURL.Text, maxPictureURL), checkProperties(in.Properties))
	if err != nil {
		return nil, err
	}
	found, err := entity[person](ctx, s.users, call.Caller, in.ID)
	if errors.Is(err, broker.ErrNoKey) {
		return nil, client.NotFound("User", in.ID)
	}
	if err != nil {
		return nil, err
	}
	u := unique[person]{index: s.usersOf(call.Caller.BotID, found.Alias)}
	given := storedTags(call.Caller, in.Tags)
	stands, err := u.update(ctx, in.ID, s.now().UTC(), given, func(r *record[person]) bool {
		changed := mergeTags(&r.Tags, given)
		return r.Body.replace(in) || changed
	})
	if errors.Is(err, broker.ErrConflict) || errors.Is(err, broker.ErrNoKey) { // deleted this moment
		return nil, client.NotFound("User", in.ID)
	}
	return &client.UserOutput{User: viewUser(call.Caller, stands)}, err
}

// replace takes over what is given, removes what is given empty, and reports
// whether anything changed.
func (p *person) replace(in *client.UpdateUserInput) bool {
	before := *p
	if in.Name.Given {
		p.Name = in.Name.Text
	}
	if in.PictureURL.Given {
		p.PictureURL = in.PictureURL.Text
	}
	properties := client.Tags(maps.Clone(p.Properties))
	changed := mergeTags(&properties, in.Properties)
	p.Properties = properties
	return changed || p.Name != before.Name || p.PictureURL != before.PictureURL
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

// participants returns the ids, as key tokens, of those who take part.
func (s *Store) participants(ctx context.Context, bot, conversation string) (map[string]bool, error) {
	keys, err := s.conversations.Keys(ctx, broker.Key(bot, participantToken, conversation)+".*")
	if err != nil {
		return nil, err
	}
	users := map[string]bool{}
	for _, key := range keys {
		users[key[strings.LastIndexByte(key, '.')+1:]] = true
	}
	return users, nil
}

func (s *Store) listUsers(ctx context.Context, call client.Call, in *client.ListUsersInput) (*client.ListUsersOutput, error) {
	inTime, err := between(in.AfterDate, in.BeforeDate)
	if err != nil {
		return nil, err
	}
	when, err := timeField[person]("rangeField", in.RangeField)
	if err != nil {
		return nil, err
	}
	var within map[string]bool
	if in.ConversationID != "" {
		_, err := s.conversation(ctx, call.Caller, in.ConversationID)
		if errors.Is(err, broker.ErrNoKey) {
			return nil, client.NewError(client.ReferenceNotFound, "conversation %q not found", in.ConversationID)
		}
		if err == nil {
			within, err = s.participants(ctx, call.Caller.BotID, in.ConversationID)
		}
		if err != nil {
			return nil, err
		}
	}
	tags := storedTags(call.Caller, in.Tags)
	page, err := scanned(ctx, s.users, call.Caller, sorting{in.NextToken, in.SortField, in.SortDirection}, func(r record[person]) bool {
		return holds(r.Tags, tags) && inTime(when(r)) && (in.ConversationID == "" || within[broker.Token(r.ID)])
	})
	if err != nil {
		return nil, err
	}
	out := &client.ListUsersOutput{Users: make([]client.User, 0, len(page.items)), Meta: client.Meta{NextToken: page.next}}
	for _, r := range page.items {
		out.Users = append(out.Users, viewUser(call.Caller, r))
	}
	return out, nil
}

func (s *Store) listParticipants(ctx context.Context, call client.Call, in *client.ListParticipantsInput) (*client.ListParticipantsOutput, error) {
	found, err := s.listUsers(ctx, call, &client.ListUsersInput{ConversationID: in.ID, NextToken: in.NextToken})
	if fault, ok := errors.AsType[*client.Error](err); ok && fault.Type == client.ReferenceNotFound {
		return nil, client.NotFound("Conversation", in.ID)
	}
	if err != nil {
		return nil, err
	}
	return &client.ListParticipantsOutput{Participants: found.Users, Meta: found.Meta}, nil
}

// listTagValues reads the tag off everything that has it.
func (s *Store) listTagValues(ctx context.Context, call client.Call, in *client.ListTagValuesInput) (*client.ListTagValuesOutput, error) {
	bucket, ok := map[string]*broker.Bucket{"user": s.users, "conversation": s.conversations, "message": s.messages}[in.Type]
	if !ok {
		return nil, client.NewError(client.InvalidQuery, "type must be user, conversation or message")
	}
	after, err := positionOf(in.NextToken)
	if err != nil {
		return nil, err
	}
	values := map[string]bool{}
	// Users and conversations have their tags outside, messages within.
	var tagged struct {
		Alias   string      `json:"alias"`
		Tags    client.Tags `json:"tags"`
		Message struct {
			Tags client.Tags `json:"tags"`
		} `json:"message"`
	}
	blank := tagged
	err = bucket.Scan(ctx, broker.Key(call.Caller.BotID)+".*", func(entry broker.Entry) {
		tagged = blank
		if json.Unmarshal(entry.Value, &tagged) != nil || hidden(call.Caller, tagged.Alias) {
			return
		}
		for _, tags := range []client.Tags{viewTags(call.Caller, tagged.Tags), viewTags(call.Caller, tagged.Message.Tags)} {
			if value, has := tags[in.Key]; has && (after == nil || value > after.ID) {
				values[value] = true
			}
		}
	})
	if err != nil {
		return nil, err
	}
	out := &client.ListTagValuesOutput{Tags: []client.TagValue{}}
	for _, value := range slices.Sorted(maps.Keys(values)) {
		if len(out.Tags) == pageSize {
			out.Meta.NextToken = position{ID: out.Tags[pageSize-1].Value}.token()
			break
		}
		out.Tags = append(out.Tags, client.TagValue{Value: value})
	}
	return out, nil
}
