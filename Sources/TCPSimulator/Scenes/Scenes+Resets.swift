internal import TCPEngine
internal import TCPStack
internal import TCPTrace
internal import TCPWire

extension Scene {
    static let resetScenes: [Scene] = [
        Scene(
            "refused", "S11", title: Phrase("Nobody listens on the port", "端口上没有人监听"),
            introduction: Phrase(
                "The client asks for a port where no program waits. The server's stack answers RST, and the client's program learns at once that the connection is refused.",
                "客户端请求的端口上没有应用程序在等待。服务器的协议栈回答 RST，客户端的应用程序立刻得知连接被拒绝。"),
            claims: [47]
        ) { options in
            let stage = Stage(options)
            let program = Stage.silent()
            stage.connect(program)
            stage.simulation.runUntilIdle()
            let trace = stage.simulation.trace
            let reset = trace.segments(from: "server", containing: [.rst, .ack]).first
            return SceneOutcome(
                parts: [ScenePart(trace)],
                checks: [
                    SceneCheck(
                        "RST confirms the SYN's number plus one", "RST 确认 SYN 的序号加一",
                        reset?.header.acknowledgment == trace.first(from: "client", .syn)?.sequenceEnd && reset != nil),
                    SceneCheck("the program is told: refused", "应用程序得到通知：被拒绝", program.error == .refused),
                    SceneCheck(
                        "the client: SYN-SENT, CLOSED", "客户端：SYN-SENT、CLOSED",
                        trace.passes("client", through: .synSent, .closed)),
                ])
        },
        Scene(
            "reset-unread", "S11b", title: Phrase("A program leaves with data unread", "应用程序没读完就走"),
            introduction: Phrase(
                "The server's program goes away without reading what the client sent. A FIN would say that all is well; so the stack sends RST. One segment closes both directions.",
                "服务器的应用程序没读客户端发来的数据就走了。发 FIN 等于说一切正常；所以协议栈发 RST。一个报文段就关闭了两个方向。"),
            claims: [47]
        ) { options in
            let stage = Stage(options)
            let conversation = Conversation(stage, clientCloses: nil, serverCloses: .whenAsked)
            let program = conversation.server
            program.isReading = false
            stage.simulation.after(.milliseconds(200)) { program.connection?.release() }
            stage.simulation.runUntilIdle()
            let trace = stage.simulation.trace
            return SceneOutcome(
                parts: [ScenePart(trace)],
                checks: [
                    SceneCheck(
                        "the server sends RST and no FIN", "服务器发 RST，不发 FIN",
                        trace.segments(from: "server", containing: .rst).count == 1
                            && trace.segments(from: "server", containing: .fin).isEmpty),
                    SceneCheck(
                        "the client's program is told: reset", "客户端的应用程序得到通知：被复位",
                        conversation.client.error == .reset),
                    SceneCheck(
                        "one segment closes both directions", "一个报文段关闭两个方向",
                        trace.passes("client", through: .established, .closed)
                            && trace.passes("server", through: .established, .closed)),
                ])
        },
        forgedScene,
        Scene(
            "half-open", "S12", title: Phrase("One end forgets: a half-open connection", "一端失忆：半开连接"),
            introduction: Phrase(
                "The client loses its power and starts again. The server knows nothing of it and believes in the old connection, until the client asks for a new one from the same port.",
                "客户端断电后重启。服务器毫不知情，仍以为旧连接还在，直到客户端从同一个端口请求新连接。"),
            claims: [15]
        ) { options in
            let stage = Stage(options)
            let conversation = Conversation(stage, clientCloses: nil, serverCloses: .whenAsked)
            stage.simulation.after(.milliseconds(500)) { stage.client.crash() }
            stage.simulation.after(.seconds(2)) { stage.client.restart() }
            let second = Stage.silent()
            stage.simulation.after(.milliseconds(2100)) { stage.connect(second) }
            // The service goes on: the next connection gets a program of its own.
            stage.simulation.run(for: .seconds(8))
            let trace = stage.simulation.trace
            let syns = trace.segments(from: "client", .syn)
            return SceneOutcome(
                parts: [ScenePart(trace)],
                checks: [
                    SceneCheck(
                        "the server answers the SYN with the number it expects", "服务器用它所等的序号回答 SYN",
                        syns.count >= 2
                            && trace.segments(from: "server", .ack).contains { $0.sent > syns[1].sent }),
                    SceneCheck(
                        "the client resets the old connection", "客户端复位旧连接",
                        trace.segments(from: "client", containing: .rst).count >= 1
                            && conversation.server.error == .reset),
                    SceneCheck("the repeated SYN opens a new one", "重发的 SYN 建成新连接", second.isOpened),
                ], delivered: conversation.server.received, isIntact: conversation.server.isIntact)
        },
    ]

    private static let forgedScene = Scene(
        "forged-reset", "S11c", title: Phrase("A forged reset", "伪造的 RST"),
        introduction: Phrase(
            "Somebody who cannot see the connection tries to break it. A reset whose number is only near is answered by a question; one whose number is far off, by nothing at all. The connection goes on.",
            "一个看不到连接内容的人想把它弄断。序号只是接近的 RST，换来的是一句反问；序号差得远的，根本没有回音。连接照常继续。"),
        claims: [47]
    ) { options in
        let stage = Stage(options)
        let conversation = Conversation(
            stage, clientCloses: .milliseconds(1500), serverCloses: .afterEndOfStream(.milliseconds(150)))
        func forge(_ offset: Int) {
            guard let last = stage.simulation.trace.data(from: "client").last else { return }
            let forged = RawSegment.packet(
                from: last.source, to: last.destination, sequence: last.sequenceEnd + offset, flags: .rst, window: 0)
            stage.simulation.inject(forged, to: stage.server, from: "client", after: .milliseconds(20))
        }
        stage.simulation.after(.milliseconds(500)) { forge(1000) }
        stage.simulation.after(.milliseconds(900)) { forge(1 << 30) }
        stage.simulation.runUntilIdle()
        let trace = stage.simulation.trace
        let forged = trace.segments.filter { $0.origin == .injected }
        func answers(_ index: Int) -> [TracedSegment] {
            guard forged.count == 2, let arrival = forged[index].arrival else { return [] }
            return trace.segments.filter { $0.from == "server" && $0.sent == arrival }
        }
        return conversation.outcome([
            SceneCheck(
                "a reset in the window, but not exact, draws a challenge ACK", "落在窗口内但不精确的 RST 换来一个挑战 ACK",
                answers(0).count == 1 && answers(0).first?.header.flags == .ack),
            SceneCheck("a reset outside the window draws nothing", "窗口之外的 RST 没有回音", answers(1).isEmpty),
            SceneCheck(
                "the connection lives on and closes in order", "连接继续存在，并正常关闭",
                trace.passes("server", through: .established, .closeWait, .lastAck, .closed)
                    && conversation.server.error == nil),
        ])
    }
}
