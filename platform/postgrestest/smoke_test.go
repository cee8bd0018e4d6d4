package postgrestest
import ("testing";"time";"context";"github.com/jackc/pgx/v5")
func TestMain(m *testing.M){ b:=time.Now(); shared.open(); code:=m.Run(); c:=time.Now(); _=code; println(shared.close()); println("close", time.Since(c).String(), "all", time.Since(b).String())}
func TestA(t *testing.T){
 b:=time.Now(); URL(t); t.Log("start", time.Since(b))
 for range 3 { b=time.Now(); Database(t); t.Log("database", time.Since(b)) }
 prep:=func(ctx context.Context,u string) error { c,err:=pgx.Connect(ctx,u); if err!=nil{return err}; defer c.Close(ctx); for range 20 { if _,err=c.Exec(ctx,"do $$ begin for i in 1..10 loop execute format('create table t%s (id bigserial primary key, x text unique, y text)', (random()*1e9)::int); end loop; end $$"); err!=nil{return err}}; return nil }
 for range 4 { b=time.Now(); Clone(t,"x",prep); t.Log("clone", time.Since(b)) }
 for _,s:=range []string{"WAL_LOG","FILE_COPY"} { for range 3 {
  b=time.Now(); if _,err:=shared.admin.Exec(t.Context(),"CREATE DATABASE z TEMPLATE template_4 STRATEGY "+s);err!=nil{t.Log(err)}; t.Log(s,time.Since(b)); b=time.Now(); shared.admin.Exec(t.Context(),"DROP DATABASE z WITH (FORCE)"); t.Log("drop",time.Since(b))}}
 b=time.Now(); s:=Server(t); t.Log("server", time.Since(b)); b=time.Now(); s.Stop(t.Context());  t.Log("stop", time.Since(b))
 b=time.Now(); c,_:=pgx.Connect(t.Context(),URL(t)); t.Log("connect", time.Since(b)); c.Close(t.Context())
}
