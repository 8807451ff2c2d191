import { fakeGraph } from "deltalink/testing";

export default {
  async fetch() {
    const failed = ({ message }) => message;
    return Response.json({
      result: await fakeGraph({ populate: { contacts: 3 } }).then(() => "made", failed),
    });
  },
};
