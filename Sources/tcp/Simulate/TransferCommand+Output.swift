internal import ArgumentParser
internal import TCPEngine
internal import TCPSimulator
internal import TCPStack
internal import TCPTrace

extension TransferCommand {
    /// The last line.
    func json(_ report: Transfer.Report) -> String {
        var object = JSONObject()
        object.add("event", "result")
        object.add("scenario", "transfer")
        object.add("delivered", report.delivered)
        object.add("intact", report.isIntact)
        object.add("seconds", number: NumberText.fixed(report.seconds, digits: 6))
        object.add("goodput", number: NumberText.fixed(report.goodput, digits: 0))
        object.add("share", number: NumberText.fixed(report.share ?? 0, digits: 4))
        object.add("retransmitted", report.retransmitted)
        object.addSpurious(report)
        object.addNetwork(report)
        let goodputs = report.flows.map { NumberText.fixed($0.goodput, digits: 0) }
        object.add("flows", number: "[" + goodputs.joined(separator: ",") + "]")
        object.add("jain", number: NumberText.fixed(report.jain, digits: 4))
        return object.line
    }

    /// What people read.
    func page(_ report: Transfer.Report, _ transfer: Transfer) -> [String] {
        var page = Page(presentation.style)
        page.heading(
            Phrase("A transfer over a simulated link", "在模拟链路上的一次传输")[page.language])
        page.blank()
        for (name, value) in rows(report, transfer, page.language) + networkRows(report, page.language) {
            page.entry("  " + name[page.language], Phrase(value, value), termWidth: 24)
        }
        if flows > 1 {
            page.heading(Phrase("Each connection", "每个连接")[page.language])
            for (index, flow) in report.flows.enumerated() {
                let control = CongestionNames.name(congestion[index % congestion.count])
                let value = "\(control.padded(to: 10))\(NumberText.rate(flow.goodput))"
                page.entry("  \(index + 1)", Phrase(value, value), termWidth: 8)
            }
        }
        return page.lines
    }

    private func rows(
        _ report: Transfer.Report, _ transfer: Transfer, _ language: Language
    ) -> [(Phrase, String)] {
        let share = report.share ?? 0
        return [
            (
                Phrase("link", "链路"),
                "\(NumberText.rate(rate)), \(NumberText.duration(delay)), \(NumberText.bytes(queue))"
            ),
            (
                Phrase("delivered", "送达"),
                NumberText.grouped(report.delivered)
                    + Phrase(" octets", " 字节")[language]
            ),
            (
                Phrase("unharmed", "完好"),
                report.isIntact ? Phrase("yes", "是")[language] : Phrase("NO", "否")[language]
            ),
            (Phrase("time", "用时"), NumberText.fixed(report.seconds, digits: 3) + " s"),
            (Phrase("goodput", "有效吞吐量"), NumberText.rate(report.goodput)),
            (Phrase("share of the rate", "占链路速率"), NumberText.fixed(share * 100, digits: 1) + " %"),
            (
                Phrase("share of payload", "占有效载荷上限"),
                NumberText.fixed(share / transfer.payloadFraction * 100, digits: 1) + " %"
            ),
        ] + (flows > 1 ? [(Phrase("fairness (Jain)", "公平性（Jain）"), NumberText.fixed(report.jain, digits: 4))] : [])
    }

    private func networkRows(_ report: Transfer.Report, _ language: Language) -> [(Phrase, String)] {
        let packets = Phrase(" packets", " 个包")[language]
        let octets = Phrase(" octets", " 字节")[language]
        var rows: [(Phrase, String)] = [
            (
                Phrase("sent again", "重发"),
                NumberText.grouped(report.retransmitted) + Phrase(" segments", " 个报文段")[language]
            ),
            (Phrase("lost or spoilt", "丢失或损坏"), NumberText.grouped(report.lost) + packets),
        ]
        if mark != nil { rows.append((Phrase("marked", "被标记"), NumberText.grouped(report.marked) + packets)) }
        if let together = report.together {
            let mean = NumberText.grouped(Int(together.meanBacklog))
            rows.append((Phrase("waiting, on average", "平均排队"), mean + octets))
        }
        rows.append((Phrase("waiting, at most", "最多排队"), NumberText.grouped(report.highestBacklog) + octets))
        return rows
    }
}

extension JSONObject {
    /// What a transfer sent again for nothing, where that can be told.
    mutating func addSpurious(_ report: Transfer.Report) {
        if let needless = report.needless { add("spurious", needless) }
    }

    /// What the network did, and what waited in front of it.
    mutating func addNetwork(_ report: Transfer.Report) {
        add("lost", report.lost)
        add("dropped", report.dropped)
        add("marked", report.marked)
        if let together = report.together {
            add("queue_mean", number: NumberText.fixed(together.meanBacklog, digits: 0))
        }
        add("queue_max", report.highestBacklog)
    }
}
