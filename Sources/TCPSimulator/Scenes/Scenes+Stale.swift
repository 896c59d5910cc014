internal import TCPEngine
internal import TCPStack
internal import TCPTrace
internal import TCPWire

extension Scene {
    private static let oldNumber = SequenceNumber(90_000_000)

    static let staleScenes: [Scene] = [
        Scene(
            "stale-syn", "S6", title: Phrase("An old SYN turns up", "迟到的旧 SYN"),
            introduction: Phrase(
                "A SYN of long ago reaches the server. The server answers, but no connection opens: the client objects with RST, and the server goes back to listening. RFC 9293 calls this the principal reason for the third segment.",
                "很久以前的一个 SYN 到达服务器。服务器作出应答，但连接不会建成：客户端用 RST 提出异议，服务器回到监听。RFC 9293 说，这正是需要第三次握手的主要原因。"),
            claims: [14, 15]
        ) { options in
            let stage = Stage(options)
            let accepted = AcceptCounter(stage)
            let old = RawSegment.packet(
                from: stage.clientEndpoint(40001), to: stage.service, sequence: oldNumber, flags: .syn)
            stage.simulation.inject(old, to: stage.server, from: "client", after: .milliseconds(20))
            stage.simulation.runUntilIdle()
            let trace = stage.simulation.trace
            return SceneOutcome(parts: [ScenePart(trace)], checks: staleChecks(trace) + [accepted.none])
        },
        Scene(
            "stale-syn-first", "S6b",
            title: Phrase("An old SYN overtakes a new one (RFC 9293, figure 8)", "旧 SYN 抢在新 SYN 之前（RFC 9293 图 8）"),
            introduction: Phrase(
                "While the client's new SYN is on its way, an old one arrives first. The client sees that the answer confirms the wrong number, resets that attempt, and the new one succeeds.",
                "客户端的新 SYN 还在途中，旧的先到了。客户端看出应答确认的序号不对，于是复位那次尝试；新的连接照常建成。"),
            claims: [9, 15]
        ) { options in
            let stage = Stage(options)
            stage.link.forward.faults.delaysPackets = [1: .milliseconds(200)]
            let conversation = Conversation(stage, sending: 0, clientCloses: nil, serverCloses: .whenAsked)
            let old = RawSegment.packet(
                from: stage.clientEndpoint(40001), to: stage.service, sequence: oldNumber, flags: .syn)
            stage.simulation.inject(old, to: stage.server, from: "client", after: .milliseconds(30))
            stage.simulation.run(for: .seconds(3))
            let trace = stage.simulation.trace
            return conversation.outcome(staleChecks(trace) + oneConnectionChecks(stage))
        },
        Scene(
            "stale-syn-listeners", "S6c",
            title: Phrase("An old SYN between two listeners (RFC 9293, figure 11)", "两个监听者之间的旧 SYN（RFC 9293 图 11）"),
            introduction: Phrase(
                "Both ends only listen. An old SYN makes one of them answer the other, which never asked. RST restores the peace: both listen again.",
                "两端都只在监听。一个旧 SYN 让其中一端去回答从未提问的另一端。RST 让一切恢复原状：两端继续监听。"),
            claims: [15]
        ) { options in
            let stage = Stage(options)
            let accepted = AcceptCounter(stage)
            stage.listen(at: stage.client) { _ in
                accepted.count += 1
                return Stage.silent()
            }
            let old = RawSegment.packet(
                from: stage.clientEndpoint(Stage.port), to: stage.service, sequence: oldNumber, flags: .syn)
            stage.simulation.inject(old, to: stage.server, from: "client", after: .milliseconds(20))
            stage.simulation.runUntilIdle()
            let trace = stage.simulation.trace
            return SceneOutcome(
                parts: [ScenePart(trace)],
                checks: staleChecks(trace) + [
                    accepted.none,
                    SceneCheck(
                        "both ends listen as before", "两端照旧监听",
                        !trace.stateChanges.contains { $0.remote.port == 0 && $0.to == .closed }
                            && stage.client.stack.memory.connectionCount == 0),
                ])
        },
    ]

    private static func staleChecks(_ trace: Trace) -> [SceneCheck] {
        let answer = trace.segments(from: "server", [.syn, .ack]).first {
            $0.header.acknowledgment == oldNumber + 1
        }
        let reset = trace.segments(from: "client", containing: .rst).first
        return [
            SceneCheck("the server confirms the old number plus one", "服务器确认旧序号加一", answer != nil),
            SceneCheck(
                "the client answers RST with exactly that number", "客户端用恰好这个序号回答 RST",
                reset?.header.sequence == oldNumber + 1),
            SceneCheck(
                "the half-open entry goes back to where it came from", "半开的条目退回原处",
                trace.stateChanges.contains {
                    $0.end == "server" && $0.from == .synReceived && ($0.to == .listen || $0.to == .closed)
                }),
        ]
    }
}

/// Listens at the server, and counts what is accepted.
final class AcceptCounter {
    var count = 0

    init(_ stage: Stage) {
        stage.listen { [unowned self] _ in
            count += 1
            return Stage.silent()
        }
    }

    var none: SceneCheck { SceneCheck("no program is handed a connection", "没有应用程序得到连接", count == 0) }
}
