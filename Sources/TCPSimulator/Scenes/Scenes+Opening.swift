internal import TCPEngine
internal import TCPStack
internal import TCPTrace
internal import TCPWire

extension Scene {
    static let openingScenes: [Scene] = [
        Scene(
            "connect", "S1",
            title: Phrase("A connection opens with three segments", "三次握手：用三个报文段建立连接"),
            introduction: Phrase(
                "Each end picks a first sequence number of its own, and each must know that the other has received it. That takes four messages: my number, I have it, my number, I have it. The server's two share one segment, so three are enough.",
                "两端各选一个自己的初始序号，并且各自都要知道对方已经收到。这本来需要四句话：我的序号、收到、我的序号、收到。服务器的两句合在一个报文段里，所以三个就够了。"),
            claims: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 16, 20, 46]
        ) { options in
            let stage = Stage(options)
            let conversation = Conversation(stage, sending: 0, clientCloses: nil, serverCloses: .whenAsked)
            stage.simulation.run(for: .seconds(1))
            return conversation.outcome(handshakeChecks(stage.simulation.trace))
        }
    ]

    static let lostOpeningScenes: [Scene] = [
        Scene(
            "lost-syn", "S4", title: Phrase("The first segment is lost", "第一个报文段（SYN）丢失"),
            introduction: Phrase(
                "Networks lose segments. The client hears nothing, waits one second, and sends the same SYN again. It is the same attempt with the same numbers, and one connection results.",
                "网络会丢报文段。客户端没听到回音，等一秒后重发同一个 SYN。这还是同一次尝试，序号不变，最终建成的是一个连接。"),
            claims: [18]
        ) { options in
            let stage = Stage(options)
            stage.link.forward.faults.losesPackets = [1]
            let conversation = Conversation(stage, sending: 0, clientCloses: nil, serverCloses: .whenAsked)
            stage.simulation.run(for: .seconds(3))
            let trace = stage.simulation.trace
            let syns = trace.segments(from: "client", .syn)
            return conversation.outcome(
                [
                    SceneCheck(
                        "the SYN is sent twice, with the same number and the same port", "SYN 发了两次，序号与端口都相同",
                        syns.count == 2 && syns[0].header.sequence == syns[1].header.sequence
                            && syns[0].source == syns[1].source),
                    SceneCheck(
                        "the second one leaves a second after the first", "第二次在一秒之后发出",
                        syns.count == 2 && (syns[1].sent - syns[0].sent) >= .milliseconds(900)),
                ] + oneConnectionChecks(stage))
        },
        Scene(
            "give-up-and-retry", "S4b",
            title: Phrase("The application gives up and asks anew", "应用程序放弃后重新发起连接"),
            introduction: Phrase(
                "A second connection attempt is something else than a repeated SYN. It comes only when the application loses patience, drops the first attempt and calls connect again: another port, another first number.",
                "再次发起连接与重发 SYN 是两回事。只有应用程序失去耐心、放弃第一次尝试并重新调用 connect，才会有新的连接请求：换了端口，也换了初始序号。"),
            claims: [18]
        ) { options in
            let stage = Stage(options)
            stage.link.forward.faults.losesPackets = [1, 2]
            stage.listen { _ in Stage.silent() }
            let first = stage.connect(Stage.silent())
            let second = Stage.silent()
            stage.simulation.after(.milliseconds(1500)) {
                first.abort()
                stage.connect(second, port: 0)
            }
            stage.simulation.run(for: .seconds(4))
            let trace = stage.simulation.trace
            let syns = trace.segments(from: "client", .syn)
            return SceneOutcome(
                parts: [ScenePart(trace)],
                checks: [
                    SceneCheck(
                        "the stack repeats the SYN unchanged", "协议栈重发的 SYN 没有变化",
                        syns.count == 3 && syns[0].header.sequence == syns[1].header.sequence
                            && syns[0].source == syns[1].source),
                    SceneCheck(
                        "the application's new attempt has another port and another first number",
                        "应用程序的新尝试换了端口和初始序号",
                        syns.count == 3 && syns[2].source.port != syns[0].source.port
                            && syns[2].header.sequence != syns[0].header.sequence),
                    SceneCheck("the new attempt succeeds", "新的尝试成功", second.isOpened),
                ])
        },
        Scene(
            "lost-syn-ack", "S5", title: Phrase("The answer to the SYN is lost", "对 SYN 的应答丢失"),
            introduction: Phrase(
                "Twice the server's answer is lost. The client repeats its SYN, the server its SYN,ACK, each with the same numbers as before. The half-open entry at the server becomes one connection, not two.",
                "服务器的应答两次丢失。客户端重发 SYN，服务器重发 SYN,ACK，序号都与先前相同。服务器上的半开条目最终成为一个连接，而不是两个。"),
            claims: [14, 18]
        ) { options in
            let stage = Stage(options)
            stage.link.backward.faults.losesPackets = [1, 2]
            let conversation = Conversation(
                stage, clientCloses: nil, serverCloses: .afterEndOfStream(.milliseconds(150)))
            let program = conversation.client
            stage.simulation.after(.seconds(4)) { program.close() }
            stage.simulation.runUntilIdle(limit: .seconds(8))
            let answers = stage.simulation.trace.segments(from: "server", [.syn, .ack])
            return conversation.outcome(
                [
                    SceneCheck(
                        "every SYN,ACK carries the same number", "每个 SYN,ACK 的序号都相同",
                        answers.count >= 3 && Set(answers.map(\.header.sequence)).count == 1)
                ] + oneConnectionChecks(stage))
        },
        twoWayScene,
        Scene(
            "lost-third-ack", "S5c", title: Phrase("The third segment is lost", "第三个报文段丢失"),
            introduction: Phrase(
                "The client is ESTABLISHED as soon as it sends the third segment; the server is not until it hears of it. If that segment is lost, the first data does the same work, because every segment carries an acknowledgment.",
                "客户端发出第三个报文段时就进入 ESTABLISHED；服务器要收到确认才算。若这个报文段丢了，第一个数据段同样能完成握手，因为每个报文段都带确认。"),
            claims: [13]
        ) { options in
            let stage = Stage(options)
            stage.link.forward.faults.losesPackets = [2]
            let conversation = Conversation(
                stage, clientCloses: nil, serverCloses: .whenAsked, clientWrites: .afterOpening(.milliseconds(100)))
            stage.simulation.run(for: .seconds(1))
            let trace = stage.simulation.trace
            let established = trace.time("server", reaches: .established)
            return conversation.outcome([
                SceneCheck(
                    "the server becomes ESTABLISHED when the first data arrives", "第一个数据段到达时服务器进入 ESTABLISHED",
                    established != nil && established == trace.data(from: "client").first?.arrival),
                SceneCheck(
                    "the client was ESTABLISHED before", "客户端早已是 ESTABLISHED",
                    (trace.time("client", reaches: .established) ?? .distantFuture) < (established ?? .zero)),
            ])
        },
    ]

    /// What a handshake without losses shows.
    static func handshakeChecks(_ trace: Trace) -> [SceneCheck] {
        let syn = trace.first(from: "client", .syn)
        let synAck = trace.first(from: "server", [.syn, .ack])
        let ack = trace.first(from: "client", .ack)
        let ones = SequenceNumber(1)
        return [
            SceneCheck(
                "three segments open the connection: SYN; SYN,ACK; ACK", "三个报文段建立连接：SYN；SYN,ACK；ACK",
                syn?.number == 1 && synAck?.number == 2 && ack?.number == 3),
            SceneCheck(
                "no first number is 0 or 1", "初始序号不是 0 也不是 1",
                syn.map { $0.header.sequence != ones && $0.header.sequence.rawValue != 0 } ?? false),
            SceneCheck(
                "the SYN,ACK confirms the client's number plus one", "SYN,ACK 确认客户端的序号加一",
                syn.map { $0.header.sequence + 1 } == synAck?.header.acknowledgment && synAck != nil),
            SceneCheck(
                "the ACK confirms the server's number plus one", "ACK 确认服务器的序号加一",
                synAck.map { $0.header.sequence + 1 } == ack?.header.acknowledgment && ack != nil),
            SceneCheck(
                "the client: SYN-SENT, ESTABLISHED", "客户端：SYN-SENT、ESTABLISHED",
                trace.passes("client", through: .synSent, .established)),
            SceneCheck(
                "the server: SYN-RECEIVED, ESTABLISHED; its listener stays in LISTEN",
                "服务器：SYN-RECEIVED、ESTABLISHED；监听者一直在 LISTEN",
                trace.passes("server", through: .synReceived, .established)
                    && !trace.stateChanges.contains { $0.end == "server" && $0.remote.port == 0 && $0.to == .closed }),
        ]
    }

    static func oneConnectionChecks(_ stage: Stage) -> [SceneCheck] {
        let trace = stage.simulation.trace
        let opened = { (end: String) in
            trace.stateChanges.filter { $0.end == end && $0.to == .established }.count
        }
        return [
            SceneCheck(
                "one connection results at each end", "两端各建成一个连接", opened("client") == 1 && opened("server") == 1)
        ]
    }
}
