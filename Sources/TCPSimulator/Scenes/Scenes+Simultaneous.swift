internal import TCPEngine
internal import TCPStack
internal import TCPTrace
internal import TCPWire

extension Scene {
    static let simultaneousScenes: [Scene] = [
        Scene(
            "simultaneous-open", "S9", title: Phrase("Both ends open at the same moment", "双方同时打开"),
            introduction: Phrase(
                "Nobody listens; both call connect at once. The SYNs cross, so no answer can share a segment with a SYN that has left already: four segments open one connection. \"Three\" is the usual case, not a law.",
                "没有谁在监听，双方同时调用 connect。两个 SYN 在途中交错，应答无法与已经发出的 SYN 合在一起：四个报文段建成一个连接。“三次”是常情，不是定律。"),
            claims: [46]
        ) { options in
            let stage = Stage(options, delay: .milliseconds(100))
            let (first, second) = crossing(stage)
            stage.simulation.runUntilIdle()
            let trace = stage.simulation.trace
            let opening = trace.segments.filter { $0.header.flags.contains(.syn) }
            return SceneOutcome(
                parts: [ScenePart(trace)],
                checks: [
                    SceneCheck(
                        "two SYN and two SYN,ACK open one connection", "两个 SYN 和两个 SYN,ACK 建成一个连接",
                        opening.filter { $0.header.flags.contains(.ack) }.count == 2 && opening.count == 4),
                    SceneCheck(
                        "both ends: SYN-SENT, SYN-RECEIVED, ESTABLISHED", "两端都是 SYN-SENT、SYN-RECEIVED、ESTABLISHED",
                        trace.passes("client", through: .synSent, .synReceived, .established)
                            && trace.passes("server", through: .synSent, .synReceived, .established)),
                ], delivered: first.received + second.received,
                isIntact: first.isIntact && second.isIntact && first.received == 12 && second.received == 12)
        },
        Scene(
            "simultaneous-close", "S10", title: Phrase("Both ends close at the same moment", "双方同时关闭"),
            introduction: Phrase(
                "Both programs close at once, the FINs cross, and each end sees the other's FIN before its own is confirmed: the state CLOSING. Both end in TIME-WAIT.",
                "双方的应用程序同时关闭，两个 FIN 在途中交错，每一端都是先看到对方的 FIN、自己的 FIN 还没得到确认：这就是 CLOSING 状态。最后双方都进入 TIME-WAIT。"),
            claims: [47]
        ) { options in
            let stage = Stage(options)
            let conversation = Conversation(stage, serverCloses: .whenAsked)
            let program = conversation.server
            stage.simulation.after(.milliseconds(200)) { program.close() }
            stage.simulation.runUntilIdle()
            let trace = stage.simulation.trace
            let fins = [trace.first(from: "client", [.fin, .ack]), trace.first(from: "server", [.fin, .ack])]
                .compactMap { $0 }
            return conversation.outcome([
                SceneCheck(
                    "the FINs cross", "两个 FIN 交错",
                    fins.count == 2 && fins[0].sent < fins[1].arrival ?? .zero
                        && fins[1].sent < fins[0].arrival ?? .zero),
                SceneCheck(
                    "both ends: FIN-WAIT-1, CLOSING, TIME-WAIT", "两端都是 FIN-WAIT-1、CLOSING、TIME-WAIT",
                    ["client", "server"].allSatisfy {
                        trace.passes($0, through: .finWait1, .closing, .timeWait, .closed)
                    }),
            ])
        },
    ]

    /// Both ends connect to each other, send 12 octets, and close.
    private static func crossing(_ stage: Stage) -> (StreamApplication, StreamApplication) {
        let (one, other) = (PayloadPattern(seed: 11), PayloadPattern(seed: 12))
        let first = StreamApplication(
            sending: 12, pattern: one, expecting: other, writing: .afterOpening(.milliseconds(1)), closing: .whenAsked)
        let second = StreamApplication(
            sending: 12, pattern: other, expecting: one, writing: .afterOpening(.milliseconds(1)), closing: .whenAsked)
        let (here, there) = (stage.clientEndpoint(41000), stage.server.endpoint(42000, ipv6: stage.ipv6))
        stage.connect(first, to: there, port: here.port)
        stage.simulation.after(.milliseconds(2)) {
            stage.connect(second, to: here, from: stage.server, port: there.port)
        }
        stage.simulation.after(.milliseconds(900)) { first.close() }
        stage.simulation.after(.milliseconds(908)) { second.close() }
        return (first, second)
    }
}
