do {
    try runKernelBenchmarks(quick: CommandLine.arguments.contains("--quick")) { print($0, $1, $2) }
} catch {
    print(error)
}
