internal import TCPEngine
internal import TCPStack
internal import TCPTrace
internal import TCPWire

extension Scene {
    static let closingScenes: [Scene] = [
        Scene(
            "close", "S2", title: Phrase("A connection closes with four segments", "四次挥手：用四个报文段关闭连接"),
            introduction: Phrase(
                "The two directions close one by one. The client has no more to send and says so: FIN, confirmed by ACK. The server's stack can confirm at once, but its own FIN must wait until its program closes: therefore these are two segments, and the close takes four.",
                "两个方向各自关闭。客户端没有数据要发了，于是发 FIN，对方以 ACK 确认。服务器的协议栈可以立刻确认，但它自己的 FIN 要等应用程序关闭：所以这是两个报文段，整个关闭要用四个。"),
            claims: [21, 22, 23, 27, 28, 29, 30, 32, 33, 34, 35, 37, 38, 39, 40, 41, 42, 43, 45, 47]
        ) { options in
            let stage = Stage(options)
            let conversation = Conversation(stage, serverCloses: .afterEndOfStream(.milliseconds(150)))
            stage.simulation.runUntilIdle()
            return conversation.outcome(fourSegmentChecks(stage.simulation.trace, active: "client", passive: "server"))
        },
        Scene(
            "close-lost-ack", "S2b", title: Phrase("The second segment of the close is lost", "第二次挥手丢失"),
            introduction: Phrase(
                "The ACK of the client's FIN is lost. The server's FIN carries the same acknowledgment again, and this one alone moves the client on: an ACK field is never mere decoration.",
                "对客户端 FIN 的确认丢失了。服务器的 FIN 上带着同样的确认，单凭它客户端就能继续：ACK 字段从来不是摆设。"),
            claims: [36]
        ) { options in
            let stage = Stage(options)
            let tail = FinalAcknowledgment()
            stage.link.forward.script = { packet in
                tail.note(packet)
                return nil
            }
            stage.link.backward.script = { tail.loses($0) ? .lost : nil }
            let conversation = Conversation(stage, serverCloses: .afterEndOfStream(.milliseconds(100)))
            stage.simulation.runUntilIdle()
            let trace = stage.simulation.trace
            return conversation.outcome([
                SceneCheck(
                    "the ACK of the client's FIN was sent and lost", "对客户端 FIN 的确认已发出并丢失",
                    trace.segments(from: "server", .ack).contains { $0.fate == .lost }),
                SceneCheck(
                    "the server's FIN repeats the acknowledgment", "服务器的 FIN 重复了这个确认",
                    trace.first(from: "server", [.fin, .ack])?.header.acknowledgment
                        == trace.first(from: "client", [.fin, .ack])?.sequenceEnd),
                SceneCheck(
                    "the client goes from FIN-WAIT-1 to TIME-WAIT", "客户端从 FIN-WAIT-1 进入 TIME-WAIT",
                    trace.passes("client", through: .finWait1, .timeWait)),
            ])
        },
        Scene(
            "close-three", "S2c", title: Phrase("A close with three segments", "三个报文段的关闭"),
            introduction: Phrase(
                "When the server's program closes the moment it reads the end, ACK and FIN leave in one segment. Three segments are enough then: why there are usually four is a matter of when the program closes.",
                "如果服务器的应用程序一读到结束就关闭，ACK 和 FIN 就在同一个报文段里发出，三个报文段就够了。通常是四个，只取决于应用程序何时关闭。"),
            claims: [28, 47]
        ) { options in
            let stage = Stage(options)
            let conversation = Conversation(stage, serverCloses: .afterEndOfStream(.zero))
            stage.simulation.runUntilIdle()
            let trace = stage.simulation.trace
            let fin = trace.first(from: "client", [.fin, .ack])
            return conversation.outcome([
                SceneCheck(
                    "ACK and FIN of the server are one segment", "服务器的 ACK 和 FIN 是同一个报文段",
                    trace.first(from: "server", [.fin, .ack])?.header.acknowledgment == fin?.sequenceEnd && fin != nil),
                SceneCheck(
                    "no segment of the server confirms the FIN before", "在此之前服务器没有单独确认 FIN",
                    !trace.segments(from: "server", .ack).contains { $0.header.acknowledgment == fin?.sequenceEnd }),
                SceneCheck(
                    "the client never is in FIN-WAIT-2", "客户端不经过 FIN-WAIT-2",
                    trace.passes("client", through: .finWait1, .timeWait)),
            ])
        },
        Scene(
            "close-server-first", "S2d", title: Phrase("The server closes first", "服务器先关闭"),
            introduction: Phrase(
                "Either end may close first. Whoever does is the active closer and keeps TIME-WAIT; client and server have nothing to do with it.",
                "哪一端都可以先关闭。先关闭的是主动关闭方，由它停留在 TIME-WAIT；与谁是客户端、谁是服务器无关。"),
            claims: [26]
        ) { options in
            let stage = Stage(options)
            let conversation = Conversation(
                stage, clientCloses: nil, serverCloses: .afterReading(300, .milliseconds(100)),
                clientClosing: .afterEndOfStream(.milliseconds(150)))
            stage.simulation.runUntilIdle()
            let trace = stage.simulation.trace
            return conversation.outcome(fourSegmentChecks(trace, active: "server", passive: "client"))
        },
        Scene(
            "half-close", "S3", title: Phrase("One direction closes, the other goes on", "半关闭：一个方向关闭，另一个方向继续"),
            introduction: Phrase(
                "FIN closes one direction only. The client has said all it has to say, and goes on receiving, confirming every octet, for as long as the server sends.",
                "FIN 只关闭一个方向。客户端的话说完了，但只要服务器还在发，它就继续接收并确认每一个字节。"),
            claims: [24, 25, 28, 31, 37]
        ) { options in
            let stage = Stage(options)
            let conversation = Conversation(stage, replying: 2500, serverCloses: .afterEndOfStream(.milliseconds(350)))
            stage.simulation.runUntilIdle()
            let trace = stage.simulation.trace
            let clientFIN = trace.first(from: "client", [.fin, .ack])
            let serverFIN = trace.first(from: "server", [.fin, .ack])
            let late = trace.data(from: "server")
            return conversation.outcome([
                SceneCheck(
                    "2,500 octets arrive after the client's FIN", "客户端发出 FIN 之后收到 2,500 字节",
                    late.allSatisfy { $0.sent >= clientFIN?.arrival ?? .distantFuture }
                        && conversation.client.received == 2500),
                SceneCheck(
                    "the client sends no data after its FIN, but acknowledges", "客户端在 FIN 之后不发数据，但照样确认",
                    !trace.data(from: "client").contains { $0.sent > clientFIN?.sent ?? .zero }
                        && trace.segments(from: "client", .ack).contains { $0.sent > clientFIN?.sent ?? .distantFuture }
                ),
                SceneCheck(
                    "the server's FIN comes 2,500 numbers after its acknowledgment of the handshake (W = V + 2500)",
                    "服务器 FIN 的序号多了 2,500（W = V + 2500）",
                    serverFIN.map { $0.header.sequence + $0.length }
                        == trace.first(from: "server", [.syn, .ack]).map { $0.header.sequence + 2501 }),
            ])
        },
    ]

    /// What a close with four segments shows, whoever begins.
    static func fourSegmentChecks(_ trace: Trace, active: String, passive: String) -> [SceneCheck] {
        let first = trace.first(from: active, [.fin, .ack])
        let second = trace.segments(from: passive, .ack).first { $0.header.acknowledgment == first?.sequenceEnd }
        let third = trace.first(from: passive, [.fin, .ack])
        let fourth = trace.segments(from: active, .ack).first { $0.header.acknowledgment == third?.sequenceEnd }
        let order = [first, second, third, fourth].compactMap { $0?.number }
        return [
            SceneCheck(
                "four segments close it: FIN; ACK; FIN; ACK", "四个报文段关闭连接：FIN；ACK；FIN；ACK",
                order.count == 4 && order == order.sorted()),
            SceneCheck(
                "each FIN uses one number and is confirmed by it plus one", "每个 FIN 占一个序号，确认号是它加一",
                second?.header.acknowledgment == first?.sequenceEnd
                    && fourth?.header.acknowledgment == third?.sequenceEnd && order.count == 4),
            SceneCheck(
                "the active closer: FIN-WAIT-1, FIN-WAIT-2, TIME-WAIT, CLOSED",
                "主动关闭方：FIN-WAIT-1、FIN-WAIT-2、TIME-WAIT、CLOSED",
                trace.passes(active, through: .established, .finWait1, .finWait2, .timeWait, .closed)),
            SceneCheck(
                "the passive closer: CLOSE-WAIT, LAST-ACK, CLOSED", "被动关闭方：CLOSE-WAIT、LAST-ACK、CLOSED",
                trace.passes(passive, through: .established, .closeWait, .lastAck, .closed)),
        ]
    }
}

/// Finds, and loses once, the acknowledgment that confirms a FIN.
final class FinalAcknowledgment {
    private var finEnd: SequenceNumber?
    private var isLost = false

    func note(_ packet: OfferedPacket) {
        guard let header = packet.header, header.flags.contains(.fin) else { return }
        finEnd = header.sequence + packet.payloadLength + 1
    }

    func loses(_ packet: OfferedPacket) -> Bool {
        guard let header = packet.header, header.flags == .ack, header.acknowledgment == finEnd, !isLost else {
            return false
        }
        isLost = true
        return true
    }
}
