internal import TCPEngine
internal import TCPStack
internal import TCPTrace
internal import TCPWire

extension Scene {
    static let transferScenes: [Scene] = [
        Scene(
            "zero-window", "S16", title: Phrase("The receiver cannot keep up", "接收方跟不上"),
            introduction: Phrase(
                "The server's program does not read. Its buffer fills, the window it advertises shrinks to zero, and the client must wait; it asks from time to time. When the program reads, the window opens and the rest flows.",
                "服务器的应用程序不读数据。缓冲区满了，它通告的窗口缩小到零，客户端只能等待，并不时试探。应用程序一读，窗口重新打开，余下的数据继续传送。"),
            claims: [16]
        ) { options in
            var configuration = Configuration()
            configuration.receiveBuffer = 8192
            let stage = Stage(options, server: configuration)
            let conversation = Conversation(
                stage, sending: 20_000, clientCloses: nil, serverCloses: .afterEndOfStream(.milliseconds(100)),
                clientClosing: .afterWriting)
            let program = conversation.server
            program.isReading = false
            stage.simulation.after(.seconds(3)) { program.resumeReading() }
            stage.simulation.runUntilIdle()
            let trace = stage.simulation.trace
            let closed = trace.segments(from: "server", .ack).filter { $0.header.window == 0 }
            return conversation.outcome([
                SceneCheck("the window closes: 0", "窗口关到 0", !closed.isEmpty),
                SceneCheck(
                    "the client probes, and each probe is answered", "客户端试探，每次试探都有回答",
                    closed.count >= 2
                        && trace.segments(from: "client", .ack).contains { $0.length <= 1 && $0.sent > closed[0].sent }),
                SceneCheck(
                    "in the end all 20,000 octets arrive", "最后 20,000 字节全部到达", program.received == 20_000),
            ])
        },
        Scene(
            "sack-recovery", "S16b", title: Phrase("Losses are mended without waiting", "丢失的数据不等超时就补上"),
            introduction: Phrase(
                "Two of the client's segments are lost. What arrives behind the gaps is kept, and SACK tells the client what the server already has, so only what is missing is sent again, before any timer runs out.",
                "客户端的两个报文段丢失。缺口之后到达的数据会被保留，SACK 告诉客户端服务器已经有了什么，于是只重发缺的那部分，而且不必等定时器到点。"),
            claims: [16]
        ) { options in
            let stage = Stage(options)
            stage.link.forward.faults.losesPackets = [5, 7]
            let conversation = Conversation(
                stage, sending: 40_000, clientCloses: nil, serverCloses: .afterEndOfStream(.milliseconds(100)),
                clientClosing: .afterWriting)
            stage.simulation.runUntilIdle()
            let trace = stage.simulation.trace
            let blocks = trace.segments(from: "server", .ack).filter { $0.header.options.sackCount > 0 }
            let seen = Dictionary(grouping: trace.data(from: "client"), by: \.header.sequence)
            let repeated = seen.values.filter { $0.count > 1 }
            return conversation.outcome([
                SceneCheck("acknowledgments carry SACK blocks", "确认里带有 SACK 块", !blocks.isEmpty),
                SceneCheck(
                    "exactly the two lost segments are sent again", "重发的恰好是丢失的两个报文段",
                    repeated.count == 2 && repeated.allSatisfy { $0.count == 2 && $0[0].fate == .lost }),
                SceneCheck(
                    "no timer had to run out: each went again within 200 ms", "没有等到超时：每个都在 200 毫秒内重发",
                    repeated.allSatisfy { $0[1].sent - $0[0].sent < .milliseconds(200) }),
                SceneCheck(
                    "all 40,000 octets arrive unharmed", "40,000 字节完好到达",
                    conversation.server.received == 40_000 && conversation.server.isIntact),
            ])
        },
    ]
}
