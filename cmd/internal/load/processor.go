package load

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// processorTime is how much of it the processes of the shop have used.
type processorTime struct {
	seconds map[string]float64 // By operator's port.
	problem string             // Why it is not known.
}

// readProcessorTime asks the operator's ports.
func readProcessorTime(ctx context.Context, admins []string) processorTime {
	t := processorTime{seconds: map[string]float64{}}
	for _, url := range admins {
		seconds, err := readMetric(ctx, strings.TrimSuffix(url, "/"), "process_cpu_seconds_total")
		if err != nil {
			t.problem = err.Error()
			return t
		}
		t.seconds[url] = seconds
	}
	if len(admins) == 0 {
		t.problem = "no operator's port is named"
	}
	return t
}

// readMetric returns the value of a metric without labels at an operator's port.
func readMetric(ctx context.Context, url, name string) (float64, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/metrics", nil)
	if err != nil {
		return 0, fmt.Errorf("%q is no URL", url)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, fmt.Errorf("nobody answers at %s (%w): name the operator's ports with --admin", url, err)
	}
	defer response.Body.Close()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(response.Body)
	if err != nil {
		return 0, fmt.Errorf("read the metrics at %s: %w", url, err)
	}
	for _, metric := range families[name].GetMetric() {
		if c := metric.GetCounter(); c != nil {
			return c.GetValue(), nil
		}
		return metric.GetGauge().GetValue(), nil
	}
	return 0, fmt.Errorf("at %s there is no metric %s", url, name)
}

// processorTime notes what was used between two looks.
func (r *Report) processorTime(before, after processorTime) {
	if before.problem+after.problem != "" {
		r.ProcessorProblem = before.problem
		if before.problem == "" {
			r.ProcessorProblem = after.problem
		}
		return
	}
	for url, seconds := range after.seconds {
		used := seconds - before.seconds[url]
		if used < 0 {
			r.ProcessorProblem = url + " was started anew"
			return
		}
		r.ProcessorSeconds += used
	}
	if r.Requests > 0 {
		r.ProcessorPerThousand = r.ProcessorSeconds * 1000 / float64(r.Requests)
	}
}
