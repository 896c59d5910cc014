internal import ArgumentParser
internal import TCPEngine
internal import TCPSimulator
internal import TCPStack
internal import TCPTrace
internal import TCPWire

/// `tcp simulate transfer`: what a connection makes of a link with limits and faults.
struct TransferCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "transfer",
        abstract: "Measure a transfer over a link with a rate, a delay, a queue and faults.",
        discussion: """
            The faults strike in both directions, data and acknowledgments alike, but for '--data-loss'. Examples:
              tcp simulate transfer --bytes 10MB --rate 50Mbps --loss 1%
              tcp simulate transfer --flows 4 --congestion cubic,bbr --duration 30s
              tcp simulate transfer --ecn --mark 60KiB --queue 512KiB
            """)

    @Option(
        help: "How much the client sends over each connection, as 10MB or 64KiB. By default 10MB.",
        transform: Quantities.bytes)
    var bytes: Int?

    @Option(help: "How long the client sends, as 30s, instead of how much.", transform: Quantities.duration)
    var duration: Duration?

    @Option(help: "The link's rate, as 50Mbps or 1Gbps. By default 50Mbps.", transform: Quantities.rate)
    var rate = 50e6

    @Option(help: "The time from one end to the other, as 10ms. By default 10ms.", transform: Quantities.duration)
    var delay = Duration.milliseconds(10)

    @Option(
        help: "How far a packet's delay lies to either side of it, by chance, as 10ms. Packets keep their order.",
        transform: Quantities.duration)
    var jitter = Duration.zero

    @Option(help: "How much may wait in front of the link. By default 128KiB.", transform: Quantities.bytes)
    var queue = 131_072

    @Option(
        help: "From how many waiting octets on the queue marks packets that are ECN-capable, as 60KiB; others pass.",
        transform: Quantities.bytes)
    var mark: Int?

    @Option(help: "The share of packets lost, as 1%.", transform: Quantities.share)
    var loss = 0.0

    @Option(help: "The share lost from client to server, besides those, as 1%.", transform: Quantities.share)
    var dataLoss = 0.0

    @Option(help: "The share of packets that are delayed apart from the others, as 3%.", transform: Quantities.share)
    var reorder = 0.0

    @Option(
        help: "At most how much later these arrive, as 10ms. By default half of '--delay', at least 1ms.",
        transform: Quantities.duration)
    var reorderDelay: Duration?

    @Option(help: "The share of packets that arrive twice.", transform: Quantities.share)
    var duplicate = 0.0

    @Option(help: "The share of packets that arrive with wrong bits.", transform: Quantities.share)
    var corrupt = 0.0

    @Option(help: "How many connections send at the same time, 1 to 256. By default 1.")
    var flows = 1

    @Option(help: "How much later than the one before it each of them opens, as 1s.", transform: Quantities.duration)
    var stagger = Duration.zero

    @Option(
        help: "How much of the time when all are there does not count for their fairness, as 2s.",
        transform: Quantities.duration)
    var warmUp = Duration.zero

    @Option(
        help: "The congestion control: cubic, newreno or bbr; connections take several, as cubic,bbr, in turn.",
        transform: CongestionNames.controls)
    var congestion: [CongestionControl] = [.cubic]

    @Flag(help: "Let both ends use Explicit Congestion Notification (RFC 3168).")
    var ecn = false

    @Flag(help: "Let both ends use Accurate ECN (RFC 9768).")
    var accurateEcn = false

    @Flag(help: "With --json, print the result alone, not every segment.")
    var summary = false

    @OptionGroup var presentation: PresentationOptions

    func validate() throws {
        guard queue >= 1500 else {
            throw ValidationError("'--queue' holds at least one packet: give 1500 octets or more")
        }
        guard loss + dataLoss + corrupt < 1 else {
            throw ValidationError(
                "'--loss', '--data-loss' and '--corrupt' leave nothing to arrive: let them be below 100% together")
        }
        guard jitter <= delay else {
            throw ValidationError("'--jitter' is at most '--delay': no packet arrives before it is sent")
        }
        guard reorder > 0 || reorderDelay == nil else {
            throw ValidationError("'--reorder-delay' says how late: give '--reorder' to say how many")
        }
        if let mark, mark >= queue {
            throw ValidationError("'--mark' is less than '--queue', or the queue drops before it marks")
        }
        guard !ecn || !accurateEcn else {
            throw ValidationError("'--ecn' and '--accurate-ecn' are two ways to do one thing: give one of them")
        }
        try validateFlows()
    }

    private func validateFlows() throws {
        guard (1...256).contains(flows) else { throw ValidationError("'--flows' is a number from 1 to 256") }
        guard congestion.count <= flows else {
            throw ValidationError("'--congestion' names more controls than there are connections: give more '--flows'")
        }
        guard let duration else { return }
        guard bytes == nil else { throw ValidationError("Give '--bytes' or '--duration', not both") }
        guard duration > .zero else { throw ValidationError("'--duration' is more than nothing, as 30s") }
        guard warmUp.nanoseconds + stagger.nanoseconds * Int64(flows - 1) < duration.nanoseconds else {
            throw ValidationError(
                "'--stagger' and '--warm-up' leave no time when all connections are there: give a longer '--duration'")
        }
    }

    private var transfer: Transfer {
        var link = LinkConfiguration(rate: rate, delay: delay, queue: queue)
        link.jitter = jitter
        link.marking = mark.map { .step(at: $0, incapable: .passes) }
        var faults = LinkFaults(loss: loss, duplication: duplicate, reordering: reorder, corruption: corrupt)
        faults.reorderingDelay = reorderDelay
        var transfer = Transfer(
            bytes: bytes ?? 10_000_000, link: link, faults: faults, options: presentation.sceneOptions)
        transfer.replyFaults = faults
        // Two chances to be lost, neither of which knows of the other.
        transfer.faults.loss = loss + dataLoss - loss * dataLoss
        transfer.flows = flows
        transfer.stagger = stagger
        transfer.duration = duration
        transfer.warmUp = warmUp
        transfer.congestion = congestion
        transfer.configuration.explicitCongestionNotification = accurateEcn ? .accurate : ecn ? .on : .off
        transfer.fitMemory()
        return transfer
    }

    func run() throws {
        let transfer = transfer
        var lines = LineBuffer()
        var observer: ((TraceEvent, TracedSegment?) -> Void)?
        if presentation.json && !summary {
            observer = { event, segment in
                if let segment {
                    lines.add(JSONLines.segment(segment, since: .zero))
                } else if case .state(let change) = event {
                    lines.add(JSONLines.state(change, since: .zero))
                }
            }
        }
        let report = transfer.run(observer: observer) { delivered in
            let all = transfer.bytes * flows
            let percent = duration == nil ? "\(all > 0 ? delivered * 100 / all : 100) %  " : ""
            Terminal.progress(percent + NumberText.grouped(delivered))
        }
        Terminal.progress("", isLast: true)
        lines.flush()
        Terminal.say(presentation.json ? [json(report)] : page(report, transfer))
        guard report.isIntact else { throw ExitCode.failure }
    }
}
