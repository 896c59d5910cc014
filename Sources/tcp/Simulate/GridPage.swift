internal import TCPEngine
internal import TCPSimulator
internal import TCPStack
internal import TCPTrace
internal import TCPWire

/// The grid as people read it: a table on a terminal, or a page in Markdown.
struct GridPage: Sendable {
    let language: Language
    let isMarkdown: Bool

    /// A column: what stands above it, and how wide it is on a terminal, where the network has a line of its own.
    private static let columns: [(title: Phrase, width: Int)] = [
        (Phrase("control", "控制"), 16), (Phrase("goodput", "吞吐量"), 14), (Phrase("of rate", "占速率"), 9),
        (Phrase("payload", "占载荷"), 9), (Phrase("of bound", "占界限"), 10), (Phrase("needed", "要求"), 8),
        (Phrase("Jain", "公平"), 8), (Phrase("queue", "排队"), 7), (Phrase("again", "重发"), 8),
        (Phrase("spurious", "多余"), 10),
    ]
    private static let indent = "    "

    private var titles: [String] { GridPage.columns.map { $0.title[language] } }

    func head(_ ipv6: Bool) -> [String] {
        guard isMarkdown else {
            return [Phrase("The grid of bad networks", "恶劣网络一览")[language], "", GridPage.indent + aligned(titles)]
        }
        let payload = ipv6 ? "1428" : "1448"
        return [
            "# The grid: connections on bad networks", "",
            "Written by `swift run -c release tcp simulate grid --markdown`. Each line is a transfer over the simulated network that it",
            "names, in virtual time, so that the same sources give the same figures everywhere. The rate of a link counts IP and",
            "TCP headers; goodput is payload alone, of which a full packet of 1500 octets carries \(payload).", "",
            "| network | " + titles.joined(separator: " | ") + " | |",
            "|:--|:--|" + String(repeating: "--:|", count: titles.count - 1) + ":--|",
        ]
    }

    func row(_ result: GridResult) -> [String] {
        let mark = result.isReached.map { $0 ? "✓" : "✗" } ?? " "
        let (name, values) = (network(result.entry), values(result))
        if isMarkdown { return ["| \(name) | " + values.joined(separator: " | ") + " | \(mark) |"] }
        return ["  \(mark) \(name)", GridPage.indent + aligned(values)]
    }

    private func values(_ result: GridResult) -> [String] {
        let (cell, report) = (result.entry.cell, result.report)
        let marks = ["", " + ECN", " + AccECN"][Int(cell.explicitCongestion.rawValue)]
        return [
            CongestionNames.name(cell.congestion) + marks, NumberText.rate(result.goodput), percent(result.share),
            percent(result.payloadShare), percent(result.boundShare),
            result.entry.requirement.map { percent($0.share, digits: 0) } ?? "–",
            cell.flows > 1 ? NumberText.fixed(report.jain, digits: 4) : "–",
            NumberText.fixed(result.meanQueue / cell.bandwidthDelayProduct, digits: 2),
            NumberText.grouped(report.retransmitted), report.needless.map(NumberText.grouped) ?? "–",
        ]
    }

    /// The first at the left, the others at the right of their columns.
    private func aligned(_ values: [String]) -> String {
        var line = ""
        for (index, (value, column)) in zip(values, GridPage.columns).enumerated() {
            line += index == 0 ? value.padded(to: column.width) : value.rightAligned(to: column.width)
        }
        return line
    }

    func foot(_ entries: [GridEntry], below: Int) -> [String] {
        let needed = entries.count { $0.requirement != nil }
        let verdict = Phrase(
            "\(entries.count) networks, \(needed) of them with a bound to reach; \(below) stayed below.",
            "共 \(entries.count) 个网络，其中 \(needed) 个有要达到的界限；\(below) 个未达到。")
        let width = isMarkdown ? 120 : Terminal.width
        return [""] + verdict[language].wrapped(to: width) + [""]
            + GridPage.explanation[language].wrapped(to: width)
    }

    /// What the columns are.
    private static let explanation = Phrase(
        """
        Each connection carries 64 MB, 16 MB in short form, or sends for the time that is named. Faults strike both \
        directions. Goodput is measured from the first call of connect to the last octet read; of several connections, in \
        short form and where a time is named, while all of them were there: behind half a second in short form, behind \
        three seconds on paths of 100 ms, which slow start needs to fill them, behind two in combinations. "Payload" is \
        the share of what the link carries as such. "Of bound" is the same, but for this: where packets are lost by \
        chance, and the control takes that for congestion, the bound is the larger of 1.22·MSS/(RTT·√p) and CUBIC's \
        response function (RFC 9438 §5.1) for each connection, if the link carries as much; with reordering or jitter it \
        is what the same network gives without. "Jain" is the index of fairness, and has to be 0.95. "Queue" is the mean \
        backlog as a part of the bandwidth-delay product: where the queue marks, it has to be at most half of one, and \
        nothing may be lost. "Spurious" is what was sent again beyond one segment for each packet lost.
        """,
        """
        每个连接传送 64 MB（短表为 16 MB），或者发送所写的时间。差错发生在两个方向。吞吐量从第一次调用 connect \
        量到读出最后一个字节；有多个连接时、在短表中、以及写明时间时，只量所有连接都在的那段时间：短表略去前半秒，\
        100 毫秒的路径略去前三秒，那是慢启动填满路径所需的时间，组合略去前两秒。“占载荷”是占链路所能承载的有效载荷的比例。\
        “占界限”与它相同，只有以下例外：随机丢包而拥塞控制把它当作拥塞时，界限是每个连接的 1.22·MSS/(RTT·√p) 与 \
        CUBIC 响应函数（RFC 9438 §5.1）中较大者，但不超过链路的容量；有乱序或抖动时，界限是同一网络没有它们时的结果。\
        “公平”是 Jain 指数，须达到 0.95。“排队”是平均排队量与带宽时延积之比；队列做标记时，它不得超过一半，也不得丢包。\
        “多余”是除每个丢失的包一次之外的重发。
        """)

    private func network(_ entry: GridEntry) -> String {
        let cell = entry.cell
        var parts = [
            NumberText.rate(cell.rate), NumberText.duration(cell.roundTrip), NumberText.bytes(cell.queue),
        ]
        if cell.loss > 0 { parts.append(Phrase("loss ", "丢包 ")[language] + part(cell.loss)) }
        if cell.reordering > 0 { parts.append(Phrase("reordered ", "乱序 ")[language] + part(cell.reordering)) }
        if cell.jitter > .zero { parts.append("± " + NumberText.duration(cell.jitter)) }
        if cell.marking != nil { parts.append(Phrase("marks", "标记")[language]) }
        if cell.flows > 1 { parts.append(Phrase("\(cell.flows) flows", "\(cell.flows) 个连接")[language]) }
        if let duration = cell.duration { parts.append(NumberText.duration(duration)) }
        return parts.joined(separator: ", ")
    }

    private func part(_ share: Double) -> String { NumberText.trimmed(share * 100, digits: 2) + " %" }

    private func percent(_ share: Double, digits: Int = 1) -> String {
        NumberText.fixed(share * 100, digits: digits) + " %"
    }
}
