internal import ArgumentParser
internal import Synchronization
internal import TCPEngine
internal import TCPSimulator
internal import TCPStack
internal import TCPTrace
internal import TCPWire

/// `tcp simulate grid`: many bad networks, and what connections make of each.
struct GridCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "grid",
        abstract: "Measure transfers over many bad networks, and hold them against what they ought to reach.",
        discussion: """
            Each network has a rate, a delay, a queue and faults, and a number of connections with one congestion control. \
            Goodput is payload alone; the bound it is held against is what the link carries as payload, or what a formula \
            leaves of that where packets are lost by chance, or the same network without reordering and jitter. The exit \
            code is 1 if one network stays below. Example:
              tcp simulate grid --short --congestion cubic
            """)

    @Flag(help: "Play the networks of 20 ms only, with less data.")
    var short = false

    @Flag(help: "Play every combination of rates, delays, queues, faults, connections and controls, too.")
    var full = false

    @Option(
        help: "Play the networks of these congestion controls alone: cubic, newreno, bbr, or several, as cubic,bbr.",
        transform: CongestionNames.controls)
    var congestion: [CongestionControl] = CongestionControl.allCases

    @Option(help: "How many networks to play at a time. By default one for each processor.")
    var jobs: Int?

    @Flag(help: "Write the page that docs/grid.md is.")
    var markdown = false

    @OptionGroup var presentation: PresentationOptions

    func validate() throws {
        guard !short || !full else { throw ValidationError("'--short' and '--full' exclude each other: give one") }
        guard !markdown || !presentation.json else {
            throw ValidationError("'--markdown' and '--json' exclude each other: give one")
        }
        guard jobs.map({ (1...256).contains($0) }) ?? true else {
            throw ValidationError("'--jobs' is a number from 1 to 256")
        }
    }

    func run() throws {
        let entries = Grid.entries(short ? .short : full ? .full : .table, congestion: congestion)
        let (options, json) = (presentation.sceneOptions, presentation.json)
        let page = GridPage(language: markdown ? .english : presentation.chosenLanguage, isMarkdown: markdown)
        if !json { Terminal.say(page.head(options.ipv6)) }
        let below = Mutex(0)
        Parallel.run(entries.count, threads: jobs ?? Parallel.processors) { index in
            entries[index].run(options)
        } each: { index, result in
            if result.isReached == false { below.withLock { $0 += 1 } }
            Terminal.progress("", isLast: true)
            Terminal.say(json ? [GridCommand.line(result)] : page.row(result))
            Terminal.progress("\(index + 1) / \(entries.count)", isLast: index + 1 == entries.count)
        }
        let count = below.withLock { $0 }
        Terminal.say(
            json ? [GridCommand.lastLine(cells: entries.count, below: count)] : page.foot(entries, below: count))
        guard count == 0 else { throw ExitCode.failure }
    }

    private static func line(_ result: GridResult) -> String {
        let (cell, report) = (result.entry.cell, result.report)
        var object = JSONObject()
        object.add("event", "cell")
        object.add("row", result.entry.name)
        object.add("rate", number: NumberText.fixed(cell.rate, digits: 0))
        object.add("rtt_ms", number: milliseconds(cell.roundTrip))
        object.add("queue", cell.queue)
        object.add("loss", number: NumberText.fixed(cell.loss, digits: 4))
        object.add("reordering", number: NumberText.fixed(cell.reordering, digits: 4))
        object.add("reordering_ms", number: milliseconds(cell.reordering > 0 ? cell.reorderingDelay : .zero))
        object.add("jitter_ms", number: milliseconds(cell.jitter))
        if let marking = cell.marking { object.add("marking", marking) }
        object.add("flows", cell.flows)
        object.add("congestion", CongestionNames.name(cell.congestion))
        object.add("ecn", CongestionNames.name(cell.explicitCongestion))
        object.add("delivered", report.delivered)
        object.add("intact", report.isIntact)
        object.add("seconds", number: NumberText.fixed(report.seconds, digits: 6))
        object.add("goodput", number: NumberText.fixed(result.goodput, digits: 0))
        object.add("share", number: NumberText.fixed(result.share, digits: 4))
        object.add("payload_share", number: NumberText.fixed(result.payloadShare, digits: 4))
        object.add("bound", number: NumberText.fixed(result.bound, digits: 0))
        object.add("retransmitted", report.retransmitted)
        object.addSpurious(report)
        object.addNetwork(report)
        object.add("jain", number: NumberText.fixed(report.jain, digits: 4))
        if let requirement = result.entry.requirement {
            object.add("required", number: NumberText.fixed(requirement.share, digits: 2))
            if let jain = requirement.jain { object.add("required_jain", number: NumberText.fixed(jain, digits: 2)) }
            if let most = requirement.meanQueue {
                object.add("queue_mean_limit", Int(most * cell.bandwidthDelayProduct))
            }
        }
        if let isReached = result.isReached { object.add("reached", isReached) }
        return object.line
    }

    private static func milliseconds(_ duration: Duration) -> String {
        NumberText.trimmed(Double(duration.nanoseconds) / 1e6, digits: 3)
    }

    private static func lastLine(cells: Int, below: Int) -> String {
        var object = JSONObject()
        object.add("event", "result")
        object.add("scenario", "grid")
        object.add("cells", cells)
        object.add("below", below)
        return object.line
    }
}
