package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	catalogv1 "github.com/cleave-go/cleave/gen/cleave/catalog/v1"
	"github.com/cleave-go/cleave/gen/cleave/catalog/v1/catalogv1connect"
	"github.com/cleave-go/cleave/platform/id"
)

const (
	// catalogSize is how many products there are to search in, which are how many rows are imported.
	catalogSize = 100_000
	// searchRate is how many searches begin in a second, whether those before have ended or not.
	searchRate = 50
	// chunkBytes is how much of a file is handed over at once: all that the contract allows.
	chunkBytes = 512 << 10
)

// The words of the products: so that a search finds a few, some hundreds or some thousands.
var (
	looks     = strings.Fields("rustic plain glossy matte striped painted carved folded woven round square narrow broad heavy light tall")
	materials = strings.Fields("oak walnut ash cork bamboo stoneware porcelain glass steel brass copper slate linen cotton wool leather marble granite silver tin iron clay paper wicker velvet silk rubber canvas ceramic birch pine maple cherry teak jute hemp nylon enamel resin alabaster")
	nouns     = strings.Fields("mug bowl plate carafe board lamp vase tray clock mirror stool shelf bench box planter lantern feeder hook chair table desk basket candle cushion blanket curtain carpet kettle teapot pitcher ladle spoon fork knife whisk grater colander skillet saucepan casserole thermos bottle flask goblet tumbler coaster napkin apron towel hanger ladder drawer cabinet wardrobe bookend easel frame poster globe compass")
)

// productFile returns a CSV of the products of a round, which no other round has, at prices that are higher by some cents.
func productFile(round, dearer int) string {
	random := rand.New(rand.NewPCG(1, 1))
	pick := func(words []string) string { return words[random.IntN(len(words))] }
	var b strings.Builder
	b.WriteString("sku,title,description,category,price_amount,price_currency\n")
	for i := range catalogSize {
		noun := pick(nouns)
		fmt.Fprintf(&b, "BENCH-%07d,%s %s %s %d,\"A %s %s, made of %s. For the %s that has everything.\",%s,%d,EUR\n",
			round*catalogSize+i, pick(looks), pick(materials), noun, i%1000, pick(looks), noun, pick(materials), pick(nouns), noun, 100+i%5000+dearer)
	}
	return b.String()
}

// measureImport imports products over the public port that are new, and once more at other prices.
func measureImport(ctx context.Context, p plan, s *stand, r *report) (err error) {
	shop, err := s.openShop(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, shop.close()) }()
	fresh := figure{Part: "import", What: "rows of a CSV that are new, from StartImport until the last is written", Unit: perSecond, AtLeast: 5000}
	known := figure{Part: "import", What: "the same rows, at other prices", Unit: perSecond}
	memory := figure{Part: "import", What: "most memory of the shop meanwhile (RSS)", Unit: megabytes}
	for round := range p.rounds {
		p.say("import: round %d of %d, %d products", round+1, p.rounds, catalogSize)
		for dearer, rate := range []*figure{&fresh, &known} {
			took, most, err := importProducts(ctx, shop, round, dearer)
			if err != nil {
				return err
			}
			rate.A = append(rate.A, catalogSize/took.Seconds())
			memory.A = append(memory.A, float64(most)/(1<<20))
		}
	}
	r.add(fresh, known, memory)
	return nil
}

// importProducts imports the products, and returns how long that took and how much memory the shop had meanwhile.
func importProducts(ctx context.Context, shop *shop, round, dearer int) (took time.Duration, most int64, err error) {
	client := catalogv1connect.NewImportServiceClient(http.DefaultClient, shop.url)
	made, err := client.CreateImport(ctx, &catalogv1.CreateImportRequest{RequestId: id.New("bench"), Format: catalogv1.ImportFormat_IMPORT_FORMAT_CSV})
	if err != nil {
		return 0, 0, err
	}
	importID := made.GetImport().GetId()
	offset := int64(0)
	for chunk := range slices.Chunk([]byte(productFile(round, dearer)), chunkBytes) {
		if _, err := client.AppendImport(ctx, &catalogv1.AppendImportRequest{RequestId: id.New("bench"), Id: importID, Offset: offset, Data: chunk}); err != nil {
			return 0, 0, err
		}
		offset += int64(len(chunk))
	}
	began := time.Now()
	if _, err := client.StartImport(ctx, &catalogv1.StartImportRequest{RequestId: id.New("bench"), Id: importID}); err != nil {
		return 0, 0, err
	}
	for {
		if err := sleep(ctx, 100*time.Millisecond); err != nil {
			return 0, 0, err
		}
		resident, err := residentBytes(shop.programs[0].pid)
		if err != nil {
			return 0, 0, err
		}
		most = max(most, resident)
		answer, err := client.GetImport(ctx, &catalogv1.GetImportRequest{Id: importID})
		switch {
		case err != nil:
			return 0, 0, err
		case answer.GetImport().GetState() == catalogv1.ImportState_IMPORT_STATE_RUNNING:
		case answer.GetImport().GetState() == catalogv1.ImportState_IMPORT_STATE_DONE && answer.GetImport().GetRows() == catalogSize && answer.GetImport().GetFailedRows() == 0:
			return time.Since(began), most, nil
		default:
			return 0, 0, fmt.Errorf("the import ended as %v", answer.GetImport())
		}
	}
}

// measureSearch searches at a fixed rate, whether the searches before have ended or not.
func measureSearch(ctx context.Context, p plan, s *stand, r *report) (err error) {
	shop, err := s.openShop(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, shop.close()) }()
	p.say("search: importing %d products", catalogSize)
	if _, _, err := importProducts(ctx, shop, 0, 0); err != nil {
		return err
	}
	if _, err := s.admin.Exec(ctx, "ANALYZE"); err != nil {
		return err
	}
	list := []struct {
		share float64
		figure
	}{
		{0.50, figure{What: "p50"}}, {0.95, figure{What: "p95"}}, {0.99, figure{What: "p99", AtMost: float64(50 * time.Millisecond)}},
	}
	for round := range p.rounds {
		p.say("search: round %d of %d, %s of %d searches per second", round+1, p.rounds, p.window, searchRate)
		waits, err := search(ctx, shop, p.window)
		if err != nil {
			return err
		}
		for i, f := range list {
			list[i].A = append(list[i].A, float64(percentile(waits, f.share)))
		}
	}
	for _, f := range list {
		f.Part, f.What, f.Unit = "search", fmt.Sprintf("a search in %d products at %d per second, %s", catalogSize, searchRate, f.What), nanoseconds
		r.add(f.figure)
	}
	return nil
}

// query returns what somebody may look for, of each kind as often: a thing, a thing of a material, a material, a word as one types it, and
// one with a letter missing.
func query(n int) string {
	noun, material := nouns[rand.IntN(len(nouns))], materials[rand.IntN(len(materials))]
	switch n % 5 {
	case 0:
		return noun
	case 1:
		return material + " " + noun
	case 2:
		return material
	case 3:
		return material + " " + noun[:len(noun)-1]
	default:
		return material + " " + noun[:1] + noun[2:]
	}
}

// search begins searches at the rate, and returns how long they took, sorted.
func search(ctx context.Context, shop *shop, window time.Duration) ([]time.Duration, error) {
	client := catalogv1connect.NewCatalogServiceClient(&http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 100}}, shop.url)
	var mu sync.Mutex
	var waits []time.Duration
	var failed atomic.Pointer[error]
	var searches sync.WaitGroup
	tick := time.NewTicker(time.Second / searchRate)
	defer tick.Stop()
	for n := range int(window.Seconds() * searchRate) {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		due := time.Now()
		searches.Go(func() {
			_, err := client.SearchProducts(ctx, &catalogv1.SearchProductsRequest{Query: query(n), PageSize: 20})
			if err != nil {
				failed.Store(&err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			waits = append(waits, time.Since(due))
		})
	}
	searches.Wait()
	if err := failed.Load(); err != nil {
		return nil, *err
	}
	slices.Sort(waits)
	return waits, nil
}
