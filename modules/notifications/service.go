package notifications

import (
	"context"
	"log/slog"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/cleave-go/cleave/gen/cleave/identity/v1/identityv1connect"
	notificationsv1 "github.com/cleave-go/cleave/gen/cleave/notifications/v1"
	"github.com/cleave-go/cleave/gen/cleave/orders/v1/ordersv1connect"
	"github.com/cleave-go/cleave/modules/notifications/internal/ent"
	"github.com/cleave-go/cleave/modules/notifications/internal/ent/message"
	"github.com/cleave-go/cleave/platform/db"
	"github.com/cleave-go/cleave/platform/page"
	"github.com/cleave-go/cleave/platform/rpc"
)

// service implements NotificationService, and does what the module owes.
type service struct {
	store  *db.Store[*ent.Client]
	log    *slog.Logger
	sender sender
	// guests knows where guests are written to.
	guests ordersv1connect.GuestServiceClient
	// mails writes what is mailed about an account.
	mails identityv1connect.MailServiceClient
	// nudge has messages sent that have just been written.
	nudge func()
}

func (s *service) ListMessages(ctx context.Context, r *notificationsv1.ListMessagesRequest) (*notificationsv1.ListMessagesResponse, error) {
	recipient, _ := rpc.Owner(ctx)
	size := page.Size(r.GetPageSize())
	after, err := page.Decode(r.GetPageToken(), recipient)
	if err != nil {
		return nil, connect.NewError(connect.CodeInvalidArgument, err)
	}
	query := s.store.Ent.Message.Query().Where(message.Recipient(recipient))
	if after != "" {
		query.Where(message.IDLT(after))
	}
	// Ids sort by time.
	rows, err := query.Order(ent.Desc(message.FieldID)).Limit(size + 1).All(ctx)
	if err != nil {
		return nil, db.Unavailable(err)
	}
	answer := &notificationsv1.ListMessagesResponse{}
	rows, answer.NextPageToken = page.Cut(rows, size, recipient, func(row *ent.Message) string { return row.ID })
	for _, row := range rows {
		answer.Messages = append(answer.Messages, &notificationsv1.Message{
			Id: row.ID, Template: row.Template, Channel: row.Channel, State: messageStates[state(row.State)],
			Subject: row.Subject, Body: row.Body, CreateTime: timestamppb.New(row.CreateTime),
		})
	}
	return answer, nil
}
