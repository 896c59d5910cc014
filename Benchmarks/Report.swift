import Glibc

/// One benchmark of the registry.
struct Benchmark: Sendable {
    /// How the command line names it.
    let name: String
    /// What it measures, in one line.
    let summary: String
    /// Runs it, and reports figures as they come.
    let body: @Sendable (BenchmarkContext) throws -> Void
}

/// What a benchmark is given.
struct BenchmarkContext {
    /// Whether short samples are wanted.
    let isQuick: Bool
    /// What the name of a variant must contain, if the benchmark can leave some out.
    let only: String?
    /// Where the figures go.
    let report: Report

    /// How often a thing is measured; the median counts.
    var samples: Int { isQuick ? 3 : 7 }
    /// Seconds each sample should last.
    var sampleSeconds: Double { isQuick ? 0.1 : 0.5 }
}

/// Why a benchmark could not measure anything.
struct BenchmarkError: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}

/// Prints figures: a table for people, or one JSON object a line.
final class Report {
    private let isJSON: Bool
    private var current = ""

    init(isJSON: Bool) { self.isJSON = isJSON }

    /// Starts the figures of `benchmark`.
    func begin(_ benchmark: Benchmark) {
        current = benchmark.name
        if !isJSON { print("\n\(benchmark.name): \(benchmark.summary)") }
    }

    /// One figure: of which `variant`, what it is, and how much of which unit.
    func add(_ variant: String, _ metric: String, _ value: Double, _ unit: String) {
        if isJSON {
            record(variant, metric, value, unit)
        } else {
            print("  \(padded(variant, to: 30))\(padded(metric, to: 28))\(aligned(readable(value), to: 14)) \(unit)")
        }
        fflush(nil)
    }

    /// A figure for machines; people get it by a note, if at all.
    func record(_ variant: String, _ metric: String, _ value: Double, _ unit: String) {
        if isJSON {
            print(
                "{\"benchmark\":\"\(current)\",\"variant\":\"\(variant)\",\"metric\":\"\(metric)\","
                    + "\"value\":\(value),\"unit\":\"\(unit)\"}")
            fflush(nil)
        }
    }

    /// A remark for people; machines do not get it.
    func note(_ text: String) {
        if !isJSON { print("  \(text)") }
    }
}

/// `text` with blanks behind it.
func padded(_ text: String, to width: Int) -> String {
    text + String(repeating: " ", count: max(1, width - text.count))
}

/// `text` with blanks before it.
func aligned(_ text: String, to width: Int) -> String {
    String(repeating: " ", count: max(0, width - text.count)) + text
}

/// A figure with thousands apart, and as many decimals as are worth reading.
func readable(_ value: Double) -> String {
    guard value.isFinite else { return "\(value)" }
    if value < 0 { return "-" + readable(-value) }
    let decimals = value == value.rounded() || value >= 1000 ? 0 : value >= 100 ? 1 : value >= 10 ? 2 : 3
    var scale = 1.0
    for _ in 0..<decimals { scale *= 10 }
    let whole = UInt64((value * scale).rounded())
    let digits = Array(String(whole / UInt64(scale)))
    var text = ""
    for (index, digit) in digits.enumerated() {
        if index > 0, (digits.count - index) % 3 == 0 { text += "," }
        text.append(digit)
    }
    guard decimals > 0 else { return text }
    let fraction = String(whole % UInt64(scale))
    return text + "." + String(repeating: "0", count: decimals - fraction.count) + fraction
}

/// Seconds on the monotonic clock.
func clock() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
}

/// The middle one of `values`.
func median(_ values: [Double]) -> Double {
    let sorted = values.sorted()
    return sorted.isEmpty ? .nan : sorted[sorted.count / 2]
}

/// Resident bytes of this process, from `/proc/self/statm`.
func residentBytes() -> Int {
    let file = open("/proc/self/statm", O_RDONLY)
    guard file >= 0 else { return 0 }
    defer { close(file) }
    var text = [UInt8](repeating: 0, count: 128)
    let count = read(file, &text, text.count)
    guard count > 0 else { return 0 }
    let fields = text[..<count].split(separator: UInt8(ascii: " "))
    guard fields.count > 1, let pages = Int(String(decoding: fields[1], as: UTF8.self)) else { return 0 }
    return pages * Int(sysconf(Int32(_SC_PAGESIZE)))
}

/// Says `text` on standard error.
func complain(_ text: String) {
    var line = Array("benchmarks: \(text)\n".utf8)
    write(STDERR_FILENO, &line, line.count)
}
