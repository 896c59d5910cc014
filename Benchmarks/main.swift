import Glibc

// `swift run -c release benchmarks [--quick] [--json] [--list] [NAME ...]`

/// Every benchmark there is, in the order they run.
let registry: [Benchmark] = stackBenchmarks + kernelBenchmarks + loadBenchmarks

func usage(_ problem: String) -> Never {
    complain("\(problem)\nusage: benchmarks [--quick] [--json] [--list] [NAME ...]")
    exit(64)
}

// The load's server is this program once more, so that what it holds can be seen by itself.
if CommandLine.arguments.count == 3, CommandLine.arguments[1] == LoadServing.option {
    do { try LoadServing.run(answer: CommandLine.arguments[2]) } catch {
        complain("the load's server cannot run: \(error)")
        exit(1)
    }
    exit(0)
}

var isQuick = false
var isJSON = false
var names: [String] = []
for argument in CommandLine.arguments.dropFirst() {
    switch argument {
    case "--quick": isQuick = true
    case "--json": isJSON = true
    case "--list", "--help", "-h":
        if argument != "--list" {
            print("usage: benchmarks [--quick] [--json] [--list] [NAME ...]\n")
            print("  --quick  shorter samples: everything within a minute")
            print("  --json   one JSON object a line for every figure\n")
        }
        for benchmark in registry { print("  \(padded(benchmark.name, to: 14))\(benchmark.summary)") }
        exit(0)
    case let option where option.hasPrefix("-"): usage("there is no option \(option)")
    case let name where registry.contains { $0.name == name }: names.append(name)
    default: usage("there is no benchmark \(argument); --list names them")
    }
}

#if DEBUG
    complain("this is a debug build, its figures mean nothing: use swift run -c release benchmarks")
#endif

let report = Report(isJSON: isJSON)
for benchmark in registry where names.isEmpty || names.contains(benchmark.name) {
    report.begin(benchmark)
    do {
        try benchmark.body(BenchmarkContext(isQuick: isQuick, report: report))
    } catch {
        complain("\(benchmark.name) cannot run: \(error)")
        exit(1)
    }
}
