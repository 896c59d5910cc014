import Glibc

// `swift run -c release benchmarks [--quick] [--json] [--list] [--only TEXT] [NAME ...]`

/// Every benchmark there is, in the order they run.
let registry: [Benchmark] = stackBenchmarks + kernelBenchmarks + wireBenchmarks + loadBenchmarks

let synopsis = "usage: benchmarks [--quick] [--json] [--list] [--only TEXT] [NAME ...]"

func usage(_ problem: String) -> Never {
    complain("\(problem)\n\(synopsis)")
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
var only: String?
var names: [String] = []
var arguments = CommandLine.arguments.dropFirst()
while let argument = arguments.popFirst() {
    switch argument {
    case "--quick", "--short": isQuick = true
    case "--json": isJSON = true
    case "--only":
        guard let text = arguments.popFirst() else { usage("--only wants a part of the names of variants") }
        only = text
    case "--list", "--help", "-h":
        if argument != "--list" {
            print("\(synopsis)\n")
            print("  --quick  shorter samples, fewer of them; --short is the same")
            print("  --json   one JSON object a line for every figure")
            print("  --only   the variants whose name contains the text, of benchmarks that can leave some out: wire\n")
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
        try benchmark.body(BenchmarkContext(isQuick: isQuick, only: only, report: report))
    } catch {
        complain("\(benchmark.name) cannot run: \(error)")
        exit(1)
    }
}
