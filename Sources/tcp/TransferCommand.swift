internal import ArgumentParser
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
            The faults strike in both directions, data and acknowledgments alike. Example:
              tcp simulate transfer --bytes 10MB --rate 50Mbps --loss 1%
            """)

    @Option(help: "How much the client sends, as 10MB or 64KiB. By default 10MB.", transform: Quantities.bytes)
    var bytes = 10_000_000

    @Option(help: "The link's rate, as 50Mbps or 1Gbps. By default 50Mbps.", transform: Quantities.rate)
    var rate = 50e6

    @Option(help: "The time from one end to the other, as 10ms. By default 10ms.", transform: Quantities.duration)
    var delay = Duration.milliseconds(10)

    @Option(help: "How much may wait in front of the link. By default 128KiB.", transform: Quantities.bytes)
    var queue = 131_072

    @Option(help: "The share of packets lost, as 1%.", transform: Quantities.share)
    var loss = 0.0

    @Option(help: "The share of packets that are overtaken by later ones.", transform: Quantities.share)
    var reorder = 0.0

    @Option(help: "The share of packets that arrive twice.", transform: Quantities.share)
    var duplicate = 0.0

    @Option(help: "The share of packets that arrive with wrong bits.", transform: Quantities.share)
    var corrupt = 0.0

    @Flag(help: "With --json, print the result alone, not every segment.")
    var summary = false

    @OptionGroup var presentation: PresentationOptions

    func validate() throws {
        guard queue >= 1500 else {
            throw ValidationError("'--queue' holds at least one packet: give 1500 octets or more")
        }
        guard loss + corrupt < 1 else {
            throw ValidationError("'--loss' and '--corrupt' leave nothing to arrive: let them be below 100% together")
        }
    }

    func run() throws {
        var transfer = Transfer(
            bytes: bytes, link: LinkConfiguration(rate: rate, delay: delay, queue: queue),
            faults: LinkFaults(loss: loss, duplication: duplicate, reordering: reorder, corruption: corrupt),
            options: presentation.sceneOptions)
        // Room for twice what fills the path, so that the network is what limits.
        let path = rate / 8 * 2 * Double(delay.nanoseconds) / 1e9 + Double(queue)
        let buffer = max(1 << 20, Int(min(2 * path, Double(64 << 20))))
        transfer.configuration.sendBuffer = buffer
        transfer.configuration.receiveBuffer = buffer
        transfer.configuration.memoryBudget = 512 << 20
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
            let percent = bytes > 0 ? delivered * 100 / bytes : 100
            Terminal.progress("\(percent) %  \(NumberText.grouped(delivered))")
        }
        Terminal.progress("", isLast: true)
        lines.flush()
        Terminal.say(presentation.json ? [json(report)] : page(report))
        guard report.isIntact else { throw ExitCode.failure }
    }

    private func json(_ report: Transfer.Report) -> String {
        var object = JSONObject()
        object.add("event", "result")
        object.add("scenario", "transfer")
        object.add("delivered", report.delivered)
        object.add("intact", report.isIntact)
        object.add("seconds", number: NumberText.fixed(report.seconds, digits: 6))
        object.add("goodput", number: NumberText.fixed(report.goodput, digits: 0))
        object.add("share", number: NumberText.fixed(report.share ?? 0, digits: 4))
        object.add("retransmitted", report.retransmitted)
        return object.line
    }

    private func page(_ report: Transfer.Report) -> [String] {
        var page = Page(presentation.style)
        page.heading(
            Phrase("A transfer over a simulated link", "在模拟链路上的一次传输")[page.language])
        page.blank()
        let rows: [(Phrase, String)] = [
            (
                Phrase("link", "链路"),
                "\(NumberText.rate(rate)), \(NumberText.duration(delay)), \(NumberText.bytes(queue))"
            ),
            (
                Phrase("delivered", "送达"),
                NumberText.grouped(report.delivered)
                    + Phrase(" octets", " 字节")[page.language]
            ),
            (
                Phrase("unharmed", "完好"),
                report.isIntact ? Phrase("yes", "是")[page.language] : Phrase("NO", "否")[page.language]
            ),
            (Phrase("time", "用时"), NumberText.fixed(report.seconds, digits: 3) + " s"),
            (Phrase("goodput", "有效吞吐量"), NumberText.rate(report.goodput)),
            (
                Phrase("share of the rate", "占链路速率"),
                NumberText.fixed((report.share ?? 0) * 100, digits: 1) + " %"
            ),
            (
                Phrase("sent again", "重发"),
                NumberText.grouped(report.retransmitted) + Phrase(" segments", " 个报文段")[page.language]
            ),
            (
                Phrase("lost or spoilt", "丢失或损坏"),
                NumberText.grouped(report.lost) + Phrase(" packets", " 个包")[page.language]
            ),
        ]
        for (name, value) in rows { page.entry("  " + name[page.language], Phrase(value, value), termWidth: 22) }
        return page.lines
    }
}
