internal import TCPEngine
internal import TCPStack
internal import TCPTrace
internal import TCPWire

extension Scene {
    static let timeWaitScenes: [Scene] = [
        Scene(
            "lost-last-ack", "S7", title: Phrase("The last acknowledgment is lost", "最后的确认丢失"),
            introduction: Phrase(
                "The last ACK of the close is lost. The server sends its FIN again, and the client, though it has finished, is still there to confirm it. This is the first reason for TIME-WAIT.",
                "关闭过程的最后一个 ACK 丢失了。服务器重发 FIN；客户端虽已完成，却还在那里，可以再确认一次。这是 TIME-WAIT 存在的第一个理由。"),
            claims: [44]
        ) { options in
            let stage = Stage(options)
            let tail = FinalAcknowledgment()
            stage.link.backward.script = { packet in
                tail.note(packet)
                return nil
            }
            stage.link.forward.script = { tail.loses($0) ? .lost : nil }
            let conversation = Conversation(stage, serverCloses: .afterEndOfStream(.milliseconds(150)))
            stage.simulation.runUntilIdle()
            let trace = stage.simulation.trace
            let fins = trace.segments(from: "server", [.fin, .ack])
            let acks = trace.segments(from: "client", .ack).filter {
                $0.header.acknowledgment == fins.first?.sequenceEnd
            }
            return conversation.outcome([
                SceneCheck(
                    "the FIN is sent twice, with the same number", "FIN 发了两次，序号相同",
                    fins.count == 2 && fins[0].header.sequence == fins[1].header.sequence),
                SceneCheck("the last acknowledgment is sent twice", "最后的确认发了两次", acks.count == 2),
                SceneCheck(
                    "the second FIN starts the 2 MSL anew", "第二个 FIN 让 2 MSL 重新计时",
                    isTwoMSL(lastedInTimeWait(trace, "client", since: acks.last?.sent))),
            ])
        },
        Scene(
            "time-wait", "S8", title: Phrase("TIME-WAIT lasts 2 MSL", "TIME-WAIT 持续 2 MSL"),
            introduction: Phrase(
                "After the close, the end that closed first keeps a small entry for twice the maximum segment lifetime. MSL is a setting: 30 s here, so 60 s in all. RFC 9293 says two minutes, Linux has a fixed 60 s in all.",
                "关闭之后，先关闭的一端还要把一个小条目保留两倍的最大报文段寿命（MSL）。MSL 是可配置的：这里取 30 秒，合计 60 秒。RFC 9293 写的 MSL 是两分钟；Linux 固定为合计 60 秒。"
            ),
            claims: [44]
        ) { options in
            let stage = Stage(options)
            let conversation = Conversation(stage, serverCloses: .afterEndOfStream(.milliseconds(150)))
            stage.simulation.run(for: .seconds(30))
            let kept = stage.client.stack.memory
            stage.simulation.runUntilIdle()
            let trace = stage.simulation.trace
            let after = stage.client.stack.memory
            return conversation.outcome([
                SceneCheck(
                    "in TIME-WAIT there is a small entry and no connection", "在 TIME-WAIT 中只有一个小条目，没有完整的连接",
                    kept.timeWaitCount == 1 && kept.connectionCount == 0),
                SceneCheck(
                    "it lasts 2 MSL: 60 s", "它持续 2 MSL：60 秒", isTwoMSL(lastedInTimeWait(trace, "client"))),
                SceneCheck("then nothing is left", "之后什么也不留下", after.timeWaitCount == 0),
            ])
        },
        Scene(
            "time-wait-old-data", "S8b",
            title: Phrase("Old data meets TIME-WAIT", "旧数据遇上 TIME-WAIT"),
            introduction: Phrase(
                "A data segment of the connection, delayed in the network, arrives after the close. TIME-WAIT recognizes it as old and no program ever sees it: the second reason for TIME-WAIT.",
                "连接的一个数据段在网络里耽搁了，关闭之后才到。TIME-WAIT 认出它是旧的，应用程序永远看不到它：这是 TIME-WAIT 存在的第二个理由。"),
            claims: [44]
        ) { options in
            let stage = Stage(options)
            let conversation = Conversation(
                stage, replying: 100, serverCloses: .afterEndOfStream(.milliseconds(150)), serverWrites: .atOnce)
            stage.simulation.after(.seconds(5)) {
                guard let sent = stage.simulation.trace.data(from: "server").first else { return }
                let old = RawSegment.packet(
                    from: sent.source, to: sent.destination, sequence: sent.header.sequence,
                    acknowledgment: sent.header.acknowledgment, flags: [.ack, .psh],
                    payload: [UInt8](repeating: 0x2A, count: sent.length))
                stage.simulation.inject(old, to: stage.client, from: "server", after: .milliseconds(20))
            }
            stage.simulation.runUntilIdle()
            return conversation.outcome([
                SceneCheck(
                    "the client's program has read the 100 octets once", "客户端的应用程序只读到一次那 100 字节",
                    conversation.client.received == 100 && conversation.client.isIntact),
                SceneCheck(
                    "TIME-WAIT goes on until its time is over", "TIME-WAIT 一直持续到时间结束",
                    stage.simulation.trace.passes("client", through: .timeWait, .closed)),
            ])
        },
        reuseScene,
        Scene(
            "time-wait-old-syn", "S8d", title: Phrase("An old SYN meets TIME-WAIT", "旧 SYN 遇上 TIME-WAIT"),
            introduction: Phrase(
                "An old SYN of the closed connection arrives. Its number lies behind what the connection used, so it opens nothing: only a newer SYN may.",
                "已关闭连接的一个旧 SYN 到了。它的序号落在连接已用过的范围之后（更旧），因此打不开任何东西：只有更新的 SYN 才行。"),
            claims: [44]
        ) { options in
            let stage = Stage(options)
            let conversation = serverClosesFirst(stage)
            stage.simulation.after(.seconds(5)) {
                guard let syn = stage.simulation.trace.first(from: "client", .syn) else { return }
                let old = RawSegment.packet(
                    from: syn.source, to: syn.destination, sequence: syn.header.sequence, flags: .syn)
                stage.simulation.inject(old, to: stage.server, from: "client", after: .milliseconds(20))
            }
            stage.simulation.runUntilIdle()
            let trace = stage.simulation.trace
            return conversation.outcome([
                SceneCheck(
                    "no second connection appears", "没有出现第二个连接",
                    trace.stateChanges.filter { $0.end == "server" && $0.to == .synReceived }.count == 1),
                SceneCheck(
                    "the old SYN gets no SYN,ACK", "旧 SYN 得不到 SYN,ACK",
                    trace.segments(from: "server", [.syn, .ack]).count == 1),
            ])
        },
        Scene(
            "time-wait-none", "S8e", title: Phrase("What breaks without TIME-WAIT", "没有 TIME-WAIT 会出什么错"),
            introduction: Phrase(
                "Here the client's MSL is set to zero, so it forgets the connection at once. The last ACK is lost; the server's repeated FIN finds nobody who remembers, and a close that was in order ends with a reset.",
                "这里把客户端的 MSL 设成零，它一关闭就忘掉连接。最后的 ACK 丢失了，服务器重发的 FIN 找不到记得它的人，一次本来正常的关闭以复位告终。"),
            claims: [44]
        ) { options in
            var configuration = Configuration()
            configuration.maximumSegmentLifetime = .zero
            let stage = Stage(options, client: configuration)
            let tail = FinalAcknowledgment()
            stage.link.backward.script = { packet in
                tail.note(packet)
                return nil
            }
            stage.link.forward.script = { tail.loses($0) ? .lost : nil }
            let conversation = Conversation(stage, serverCloses: .afterEndOfStream(.milliseconds(150)))
            stage.simulation.runUntilIdle()
            let trace = stage.simulation.trace
            return conversation.outcome([
                SceneCheck(
                    "the repeated FIN is answered with RST", "重发的 FIN 得到的回答是 RST",
                    trace.segments(from: "client", containing: .rst).count == 1),
                SceneCheck(
                    "the server leaves LAST-ACK by a reset, not by a confirmation", "服务器离开 LAST-ACK 是因为复位，而不是确认",
                    trace.passes("server", through: .lastAck, .closed)),
            ])
        },
    ]

    /// The client comes back on the same port while the server still waits.
    private static let reuseScene = Scene(
        "time-wait-reuse", "S8c", title: Phrase("A new SYN takes over a TIME-WAIT entry", "新的 SYN 接管 TIME-WAIT"),
        introduction: Phrase(
            "The server closed first and is in TIME-WAIT. The client comes back from the same port. Its new SYN has a newer number and a newer timestamp, so nothing can be confused, and the server opens the new connection at once.",
            "服务器先关闭，处于 TIME-WAIT。客户端用同一个端口再来。新 SYN 的序号和时间戳都更新，不会与旧的混淆，服务器立刻打开新连接。"),
        claims: [44]
    ) { options in
        let stage = Stage(options)
        let conversation = serverClosesFirst(stage)
        let second = Stage.silent()
        stage.simulation.after(.seconds(5)) { stage.connect(second) }
        stage.simulation.run(for: .seconds(8))
        let trace = stage.simulation.trace
        return conversation.outcome([
            SceneCheck(
                "the second connection opens while 2 MSL are not over", "2 MSL 未到，第二个连接就建成了",
                second.isOpened && stage.simulation.now.nanoseconds < 60_000_000_000),
            SceneCheck(
                "its first number is newer than the old connection's", "它的初始序号比旧连接的更新",
                secondNumberIsNewer(trace)),
        ])
    }

    private static func secondNumberIsNewer(_ trace: Trace) -> Bool {
        let syns = trace.segments(from: "client", .syn)
        return syns.count == 2 && syns[1].header.sequence > syns[0].header.sequence
            && syns[0].source == syns[1].source
    }

    private static func serverClosesFirst(_ stage: Stage) -> Conversation {
        let conversation = Conversation(
            stage, clientCloses: nil, serverCloses: .afterReading(300, .milliseconds(100)),
            clientClosing: .afterEndOfStream(.milliseconds(150)))
        return conversation
    }

    /// Whether it is the 60 s that the default MSL makes, up to the coarseness of a timing wheel.
    static func isTwoMSL(_ duration: Duration?) -> Bool {
        guard let duration else { return false }
        return duration >= .seconds(60) && duration < .milliseconds(60_100)
    }

    static func lastedInTimeWait(_ trace: Trace, _ end: String, since start: Instant? = nil) -> Duration? {
        guard let begin = start ?? trace.time(end, reaches: .timeWait),
            let closed = trace.stateChanges.last(where: { $0.end == end && $0.from == .timeWait && $0.to == .closed })
        else { return nil }
        return closed.time - begin
    }
}
