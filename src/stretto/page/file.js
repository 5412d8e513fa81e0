/** A page that is a file: its run stands in it. */
import { mount } from "./main.js";
import { island } from "./source.js";

const place = document.getElementById("page");
if (place) mount(place, island);
